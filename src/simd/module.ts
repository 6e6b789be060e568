/** Modules of kernels made and loaded by the running Node; undefined where it has no WebAssembly SIMD. */
import { assemble, f32x4, type KernelFunction, kernel, store } from "./assembler.js";

/** Bytes of one page of WebAssembly memory. */
export const PAGE = 65536;

/** Memory of WebAssembly that never grows: views of its buffer stay valid as long as they are held. */
export interface KernelMemory {
  readonly buffer: ArrayBuffer;
}

/** What the module of Node's types does not say: the part of WebAssembly that is used here. */
interface WebAssemblyApi {
  readonly validate: (bytes: Uint8Array) => boolean;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: { env: { memory: KernelMemory } },
  ) => { readonly exports: Readonly<Record<string, unknown>> };
  readonly Memory: new (limits: { initial: number; maximum: number }) => KernelMemory;
}

const api = (globalThis as { WebAssembly?: WebAssemblyApi }).WebAssembly;

let supported: boolean | undefined;

/** True when this process can run WebAssembly SIMD; `--jitless` and some processors (x64 before SSE4.1) cannot. */
export function hasSimd(): boolean {
  supported ??=
    api?.validate(
      assemble([kernel("probe", { at: "i32" }, (_, { at }) => ({ statements: [store(at.get, f32x4(1))] }))]),
    ) ?? false;
  return supported;
}

/** A memory of at least so many bytes, zeroed. Needs `hasSimd()`. Throws RangeError where the process cannot have it. */
export function makeMemory(bytes: number): KernelMemory {
  const pages = Math.max(1, Math.ceil(bytes / PAGE));
  return new api!.Memory({ initial: pages, maximum: pages });
}

/** A function of a loaded module: numbers in, a number or nothing out. */
export type Kernel = (...values: readonly number[]) => number;

/** Loads functions over a memory and returns them by name. Needs `hasSimd()`. */
export function loadKernels<const F extends readonly KernelFunction[]>(
  functions: F,
  memory: KernelMemory,
): Readonly<Record<F[number]["name"], Kernel>> {
  const module = new api!.Module(assemble(functions));
  const { exports } = new api!.Instance(module, { env: { memory } });
  // Every exported function takes and gives numbers: kernel() lets no other types into a signature.
  return exports as Readonly<Record<F[number]["name"], Kernel>>;
}
