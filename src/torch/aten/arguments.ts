/** Arguments of a node by name, each read at most as what it is; what no handler reads is refused, not ignored. */
import type { DType } from "../../tensor/index.js";
import type { Argument, NamedArgument, ProgramInt } from "../pt2/program.js";
import { Unsupported } from "./unsupported.js";

/** A size: known, or the name of an int64 scalar of the graph. */
export type Size = number | string;

/** A tensor as handlers see it. */
export interface TensorValue {
  /** Name of the ONNX value. */
  readonly value: string;
  /** Name in the program. */
  readonly name: string;
  readonly dtype: DType;
  /** null: known only at run time. */
  readonly dims: readonly (number | null)[];
  readonly rank: number;
}

/** A Python number: exact integers may be bigint; a name is an int64 scalar of the graph. */
export type Scalar = number | bigint | boolean | { readonly size: string };

/** What arguments are looked up in. */
export interface Bindings {
  tensor(name: string): TensorValue;
  size(name: string): Size;
  dtype(dtype: DType): DType;
}

export class Arguments {
  readonly #byName: ReadonlyMap<string, Argument>;
  readonly #bindings: Bindings;
  readonly #read = new Set<string>();

  constructor(inputs: readonly NamedArgument[], bindings: Bindings) {
    this.#byName = new Map(inputs.map(({ name, arg }, i) => [name === "" ? `${i}` : name, arg]));
    this.#bindings = bindings;
  }

  /** Names that were given and never asked for. */
  unread(): string[] {
    return [...this.#byName]
      .filter(([name, arg]) => arg.kind !== "none" && !this.#read.has(name))
      .map(([name]) => name);
  }

  /** Says that arguments have no influence on the values. */
  ignore(...names: readonly string[]): void {
    for (const name of names) this.#read.add(name);
  }

  has(name: string): boolean {
    const arg = this.#byName.get(name);
    return arg !== undefined && arg.kind !== "none";
  }

  tensor(name: string): TensorValue {
    const value = this.optionalTensor(name);
    if (value === undefined) throw new Unsupported(`argument ${name} is not given`);
    return value;
  }

  optionalTensor(name: string): TensorValue | undefined {
    const arg = this.#take(name);
    if (arg === undefined) return undefined;
    if (arg.kind !== "tensor") throw wrong(name, arg);
    return this.#bindings.tensor(arg.name);
  }

  tensors(name: string): TensorValue[] {
    return this.optionalTensors(name).map((value) => {
      if (value === undefined) throw new Unsupported(`${name} holds None`);
      return value;
    });
  }

  optionalTensors(name: string): (TensorValue | undefined)[] {
    const arg = this.#take(name);
    if (arg === undefined) return [];
    if (arg.kind !== "tensors" && arg.kind !== "optionalTensors") throw wrong(name, arg);
    return arg.names.map((item) => (item === null ? undefined : this.#bindings.tensor(item)));
  }

  isTensor(name: string): boolean {
    return this.#byName.get(name)?.kind === "tensor";
  }

  /** A tensor, or a Python number. */
  operand(name: string): TensorValue | Scalar {
    return this.isTensor(name) ? this.tensor(name) : this.scalar(name);
  }

  scalar(name: string, fallback?: Scalar): Scalar {
    const arg = this.#take(name);
    if (arg === undefined) return orThrow(name, fallback);
    switch (arg.kind) {
      case "int":
      case "float":
      case "bool":
        return arg.value;
      case "symInt":
      case "symFloat":
      case "symBool": {
        if (typeof arg.value !== "object") return arg.value;
        const size = this.#bindings.size(arg.value.name);
        return typeof size === "number" ? size : { size };
      }
      default:
        throw wrong(name, arg);
    }
  }

  /** A number that must be known. */
  number(name: string, fallback?: number): number {
    const value = this.scalar(name, fallback);
    if (typeof value === "object") throw new Unsupported(`${name} is known only at run time`);
    return Number(value);
  }

  size(name: string, fallback?: Size): Size {
    const arg = this.#take(name);
    if (arg === undefined) return orThrow(name, fallback);
    if (arg.kind === "int") return Number(arg.value);
    if (arg.kind === "symInt") return this.#size(arg.value);
    throw wrong(name, arg);
  }

  sizes(name: string, fallback?: readonly Size[]): readonly Size[] {
    const arg = this.#take(name);
    if (arg === undefined) return orThrow(name, fallback);
    if (arg.kind === "ints") return arg.values.map(Number);
    if (arg.kind === "symInts") return arg.values.map((value) => this.#size(value));
    // An empty list has no element type.
    if (arg.kind === "tensors" && arg.names.length === 0) return [];
    throw wrong(name, arg);
  }

  /** Integers that must be known. */
  ints(name: string, fallback?: readonly number[]): readonly number[] {
    return this.sizes(name, fallback).map((size) => {
      if (typeof size === "string") throw new Unsupported(`${name} is known only at run time`);
      return size;
    });
  }

  /** Integers that must be known: a list, one number, or none. */
  sizesOrOne(name: string): readonly number[] {
    const { kind } = this.#byName.get(name) ?? {};
    return kind === "int" || kind === "symInt" ? [this.number(name)] : this.ints(name, []);
  }

  floats(name: string): readonly number[] {
    const arg = this.#take(name);
    if (arg === undefined) return [];
    if (arg.kind === "floats") return arg.values;
    if (arg.kind === "symFloats" && arg.values.every((value) => typeof value === "number")) return arg.values;
    throw wrong(name, arg);
  }

  boolean(name: string, fallback: boolean): boolean {
    const arg = this.#take(name);
    if (arg === undefined) return fallback;
    if (arg.kind !== "bool") throw wrong(name, arg);
    return arg.value;
  }

  text(name: string, fallback?: string): string {
    const arg = this.#take(name);
    if (arg === undefined) return orThrow(name, fallback);
    if (arg.kind !== "string") throw wrong(name, arg);
    return arg.value;
  }

  dtype(name: string): DType | undefined {
    const arg = this.#take(name);
    if (arg === undefined) return undefined;
    if (arg.kind !== "scalarType" || arg.dtype === undefined) throw wrong(name, arg);
    return this.#bindings.dtype(arg.dtype);
  }

  /** Refuses any value but this one. */
  only(name: string, expected: number | boolean | string): void {
    const arg = this.#take(name);
    if (arg === undefined) return;
    const given = "value" in arg ? arg.value : undefined;
    if (given !== expected && !(typeof given === "bigint" && Number(given) === expected)) {
      throw new Unsupported(`${name} = ${typeof given === "object" ? arg.kind : given}`);
    }
  }

  #size(value: ProgramInt | { readonly name: string }): Size {
    return typeof value === "object" ? this.#bindings.size(value.name) : Number(value);
  }

  #take(name: string): Argument | undefined {
    this.#read.add(name);
    const arg = this.#byName.get(name);
    return arg === undefined || arg.kind === "none" ? undefined : arg;
  }
}

function orThrow<T>(name: string, fallback: T | undefined): T {
  if (fallback === undefined) throw new Unsupported(`argument ${name} is not given`);
  return fallback;
}

function wrong(name: string, arg: Argument): Unsupported {
  return new Unsupported(`${name} is of kind ${arg.kind}`);
}
