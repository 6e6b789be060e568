/** tenon/simd: WebAssembly SIMD kernels assembled at run time; imports nothing but base. */
export {
  type Assembled,
  assemble,
  type Code,
  type FunctionBody,
  f32,
  f32x4,
  f64,
  f64x2,
  i32,
  i32x4,
  type KernelFunction,
  kernel,
  type Local,
  lane,
  load,
  loadSplat,
  loopWhile,
  op,
  type Statement,
  select,
  sequence,
  shuffle,
  store,
  when,
} from "./assembler.js";
export type { Gives, Instruction, Takes, Type } from "./instructions.js";
export { hasSimd, type Kernel, type KernelMemory, loadKernels, makeMemory, PAGE } from "./module.js";
