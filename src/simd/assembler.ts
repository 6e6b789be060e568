/** A typed assembler for WebAssembly kernels: expressions know their type, functions become the bytes of one module. */
import {
  EXTRACTS,
  type Gives,
  INSTRUCTIONS,
  type Instruction,
  LOADS,
  opcodeBytes,
  STORES,
  signed,
  type Takes,
  type Type,
  unsigned,
  VALUE_TYPES,
} from "./instructions.js";

/** Bytes that leave one value of type T on the stack. */
export interface Code<T extends Type = Type> {
  readonly type: T;
  readonly bytes: readonly number[];
}

/** Bytes that leave nothing on the stack. */
export interface Statement {
  readonly type: "nothing";
  readonly bytes: readonly number[];
}

/** A variable of a function, or one of its parameters. */
export interface Local<T extends Type> {
  readonly get: Code<T>;
  set(value: Code<T>): Statement;
}

type Operands<T extends readonly Type[]> = { readonly [I in keyof T]: Code<T[I]> };

/** One instruction on its operands: `op("f32x4.add", a, b)`. Operand and result types come from the table. */
export function op<I extends Instruction>(name: I, ...operands: Operands<Takes<I>>): Code<Gives<I>> {
  const { code, gives } = INSTRUCTIONS[name];
  const values = operands as readonly Code[];
  // The row's `gives` is Gives<I> by the definition of that type.
  return {
    type: gives as Gives<I>,
    bytes: [...values.flatMap(({ bytes }) => bytes), ...opcodeBytes(code)],
  };
}

/** A constant 32-bit integer. */
export function i32(value: number): Code<"i32"> {
  return { type: "i32", bytes: [0x41, ...signed(value | 0)] };
}

/** A constant single. */
export function f32(value: number): Code<"f32"> {
  return { type: "f32", bytes: [0x43, ...new Uint8Array(Float32Array.of(value).buffer)] };
}

/** A constant double. */
export function f64(value: number): Code<"f64"> {
  return { type: "f64", bytes: [0x44, ...new Uint8Array(Float64Array.of(value).buffer)] };
}

/** Four singles of one value. */
export function f32x4(value: number): Code<"f32x4"> {
  return {
    type: "f32x4",
    bytes: [0xfd, 0x0c, ...new Uint8Array(new Float32Array(4).fill(value).buffer)],
  };
}

/** Two doubles of one value. */
export function f64x2(value: number): Code<"f64x2"> {
  return {
    type: "f64x2",
    bytes: [0xfd, 0x0c, ...new Uint8Array(new Float64Array(2).fill(value).buffer)],
  };
}

/** Four 32-bit integers of one value. */
export function i32x4(value: number): Code<"i32x4"> {
  return {
    type: "i32x4",
    bytes: [0xfd, 0x0c, ...new Uint8Array(new Int32Array(4).fill(value).buffer)],
  };
}

/** The value at `address + offset` bytes. */
export function load<T extends Type>(type: T, address: Code<"i32">, offset = 0): Code<T> {
  return { type, bytes: [...address.bytes, ...opcodeBytes(LOADS[type]), 0, ...unsigned(offset)] };
}

/** One single at `address + offset`, in all four lanes. */
export function loadSplat(address: Code<"i32">, offset = 0): Code<"f32x4"> {
  return { type: "f32x4", bytes: [...address.bytes, 0xfd, 0x09, 0, ...unsigned(offset)] };
}

/** Eight signed bytes at `address + offset`, as 16-bit integers. */
export function loadBytes(address: Code<"i32">, offset = 0): Code<"i16x8"> {
  return { type: "i16x8", bytes: [...address.bytes, 0xfd, 0x01, 0, ...unsigned(offset)] };
}

/** Writes `value` to `address + offset` bytes. */
export function store<T extends Type>(address: Code<"i32">, value: Code<T>, offset = 0): Statement {
  const memory = [...opcodeBytes(STORES[value.type]), 0, ...unsigned(offset)];
  return { type: "nothing", bytes: [...address.bytes, ...value.bytes, ...memory] };
}

/** The byte at `address + offset`, as a number from 0 to 255. */
export function loadByte(address: Code<"i32">, offset = 0): Code<"i32"> {
  return { type: "i32", bytes: [...address.bytes, 0x2d, 0, ...unsigned(offset)] };
}

/** Writes the low eight bits of `value` to `address + offset`. */
export function storeByte(address: Code<"i32">, value: Code<"i32">, offset = 0): Statement {
  return { type: "nothing", bytes: [...address.bytes, ...value.bytes, 0x3a, 0, ...unsigned(offset)] };
}

/** Copies bytes; the two places may overlap. Worth its call from some dozens of bytes on. */
export function copyBytes(to: Code<"i32">, from: Code<"i32">, count: Code<"i32">): Statement {
  return { type: "nothing", bytes: [...to.bytes, ...from.bytes, ...count.bytes, 0xfc, 0x0a, 0, 0] };
}

/** Sets `count` bytes to the low eight bits of `value`. */
export function fillBytes(at: Code<"i32">, value: Code<"i32">, count: Code<"i32">): Statement {
  return { type: "nothing", bytes: [...at.bytes, ...value.bytes, ...count.bytes, 0xfc, 0x0b, 0] };
}

/** One lane of a vector. */
export function lane<T extends keyof typeof EXTRACTS>(
  vector: Code<T>,
  index: number,
): Code<(typeof EXTRACTS)[T]["gives"]> {
  const { code, gives } = EXTRACTS[vector.type];
  return { type: gives, bytes: [...vector.bytes, ...opcodeBytes(code), index] };
}

/** Lanes of two vectors of the same type by number, counted in 32-bit lanes: 0–3 of the first, 4–7 of the second. */
export function shuffle<T extends "f32x4" | "i32x4">(
  a: Code<T>,
  b: Code<T>,
  lanes: readonly [number, number, number, number],
): Code<T> {
  const bytes = lanes.flatMap((one) => [0, 1, 2, 3].map((byte) => one * 4 + byte));
  return { type: a.type, bytes: [...a.bytes, ...b.bytes, 0xfd, 0x0d, ...bytes] };
}

/** `yes` where the condition is not 0, else `no`; both are computed. */
export function select<T extends "i32" | "i64" | "f32" | "f64">(
  condition: Code<"i32">,
  yes: Code<T>,
  no: Code<T>,
): Code<T> {
  return { type: yes.type, bytes: [...yes.bytes, ...no.bytes, ...condition.bytes, 0x1b] };
}

/** Statements as one. */
export function sequence(...statements: readonly Statement[]): Statement {
  return { type: "nothing", bytes: statements.flatMap(({ bytes }) => bytes) };
}

/** Statements where the condition is not 0. */
export function when(condition: Code<"i32">, ...body: readonly Statement[]): Statement {
  return { type: "nothing", bytes: [...condition.bytes, 0x04, 0x40, ...sequence(...body).bytes, 0x0b] };
}

/** The first statements where the condition is not 0, else the second ones. */
export function either(
  condition: Code<"i32">,
  yes: readonly Statement[],
  no: readonly Statement[],
): Statement {
  const branches = [...sequence(...yes).bytes, 0x05, ...sequence(...no).bytes];
  return { type: "nothing", bytes: [...condition.bytes, 0x04, 0x40, ...branches, 0x0b] };
}

/** Statements again and again while the condition, looked at before each turn, is not 0. */
export function loopWhile(condition: Code<"i32">, ...body: readonly Statement[]): Statement {
  const turn = [0x03, 0x40, ...sequence(...body).bytes, ...condition.bytes, 0x0d, 0, 0x0b];
  return { type: "nothing", bytes: [...condition.bytes, 0x04, 0x40, ...turn, 0x0b] };
}

/** Makes locals of the function that is being assembled. */
export interface FunctionBody {
  local<T extends Type>(type: T): Local<T>;
}

/** A function of a module. Parameters and result are numbers for JavaScript, so no vectors and no i64. */
export interface KernelFunction {
  readonly name: string;
  readonly bytes: readonly number[];
  readonly signature: readonly number[];
}

type Scalar = "i32" | "f32" | "f64";
type Parameters<P extends Readonly<Record<string, Scalar>>> = { readonly [K in keyof P]: Local<P[K]> };

/** What a body ends with: the statements, and the value that the function returns, if any. */
export interface Assembled {
  readonly statements: readonly Statement[];
  readonly result?: Code<Scalar>;
}

/**
 * One exported function. `body` gets makers of locals and the parameters by name.
 *
 *     kernel("double", { at: "i32" }, (f, { at }) => ({
 *       statements: [store(at.get, op("f32x4.add", load("f32x4", at.get), load("f32x4", at.get)))],
 *     }));
 */
export function kernel<const P extends Readonly<Record<string, Scalar>>>(
  name: string,
  parameters: P,
  body: (f: FunctionBody, parameters: Parameters<P>) => Assembled,
): KernelFunction {
  const types: Type[] = [];
  const makeLocal = <T extends Type>(type: T): Local<T> => {
    const index = unsigned(types.push(type) - 1);
    return {
      get: { type, bytes: [0x20, ...index] },
      set: (value) => ({ type: "nothing", bytes: [...value.bytes, 0x21, ...index] }),
    };
  };
  const names = Object.entries(parameters);
  // Each parameter's local has the type that stands beside its name.
  const given = Object.fromEntries(names.map(([key, type]) => [key, makeLocal(type)])) as Parameters<P>;
  const { statements, result } = body({ local: makeLocal }, given);
  const locals = types.slice(names.length).flatMap((type) => [1, VALUE_TYPES[type]]);
  const code = [
    ...unsigned(types.length - names.length),
    ...locals,
    ...sequence(...statements).bytes,
    ...(result?.bytes ?? []),
    0x0b,
  ];
  const takes = names.map(([, type]) => VALUE_TYPES[type]);
  const gives = result === undefined ? [] : [VALUE_TYPES[result.type]];
  return {
    name,
    bytes: code,
    signature: [0x60, takes.length, ...takes, gives.length, ...gives],
  };
}

function section(id: number, items: readonly (readonly number[])[]): number[] {
  const body = [...unsigned(items.length), ...items.flat()];
  return [id, ...unsigned(body.length), ...body];
}

function text(value: string): number[] {
  const bytes = [...new TextEncoder().encode(value)];
  return [...unsigned(bytes.length), ...bytes];
}

/** The bytes of a module that imports its memory as `env.memory` and exports the functions by name. */
export function assemble(functions: readonly KernelFunction[]): Uint8Array {
  const indices = functions.map((_, index) => index);
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(
      1,
      functions.map(({ signature }) => signature),
    ),
    ...section(2, [[...text("env"), ...text("memory"), 0x02, 0x00, 0]]),
    ...section(3, indices.map(unsigned)),
    ...section(
      7,
      functions.map(({ name }, index) => [...text(name), 0x00, ...unsigned(index)]),
    ),
    ...section(
      10,
      functions.map(({ bytes }) => [...unsigned(bytes.length), ...bytes]),
    ),
  ]);
}
