/** The pickle machine: its stack, marks and memo with their bounds, and the calls it refuses. */
import { damaged, quoted } from "../invalid.js";
import { construct } from "./constructors.js";
import type { Cursor } from "./cursor.js";
import {
  describePickled,
  GlobalName,
  PickledTensor,
  type PickleValue,
  Placeholder,
  type StorageRef,
  Tuple,
} from "./values.js";

export interface PickleOptions {
  /** What a persistent id stands for. Without it, ids are refused. */
  readonly storage?: (id: Tuple) => StorageRef;
  /** Classes of which `call` gives placeholders instead of an error. */
  readonly placeholders?: (path: string) => boolean;
}

const MAX_STACK = 1_000_000;
const MAX_MEMO = 1_000_000;
const MAX_MARKS = 1_000;
/** Most collections: an empty dict is one byte of a pickle and 200 of memory. */
const MAX_OBJECTS = 1_000_000;
/** Longest string or number, in bytes. */
export const MAX_STRING = 16 * 2 ** 20;

/** Most bytes that constructors may copy: without it, a short pickle could copy one large value again and again. */
const MAX_COPIED = 64 * 2 ** 20;
const ITEM_BYTES = 16;

/** A mark on the stack. */
const MARK = Symbol("mark");

export class Machine {
  readonly cursor: Cursor;
  readonly #options: PickleOptions;
  readonly #stack: (PickleValue | typeof MARK)[] = [];
  readonly #memo = new Map<number, PickleValue>();
  #marks = 0;
  #copied = 0;
  #objects = 0;

  constructor(cursor: Cursor, options: PickleOptions) {
    this.cursor = cursor;
    this.#options = options;
  }

  /** Puts a new value on the stack. */
  push(value: PickleValue): void {
    if (typeof value === "object" && value !== null && ++this.#objects > MAX_OBJECTS)
      throw damaged("the pickle makes too many collections");
    this.#push(value);
  }

  #push(value: PickleValue): void {
    if (this.#stack.length >= MAX_STACK) throw damaged("the pickle's stack is too large");
    this.#stack.push(value);
  }

  pop(): PickleValue {
    const value = this.#stack.pop();
    if (value === undefined || value === MARK) throw damaged("the pickle takes a value that is not there");
    return value;
  }

  /** The last value, which stays. */
  top(): PickleValue {
    const value = this.pop();
    this.#push(value);
    return value;
  }

  duplicate(): void {
    this.#push(this.top());
  }

  mark(): void {
    if (++this.#marks > MAX_MARKS) throw damaged("the pickle is nested too deeply");
    if (this.#stack.length >= MAX_STACK) throw damaged("the pickle's stack is too large");
    this.#stack.push(MARK);
  }

  /** The values behind the last mark, which is taken off with them. */
  popToMark(): PickleValue[] {
    const at = this.#stack.lastIndexOf(MARK);
    if (at < 0) throw damaged("the pickle lacks a mark");
    this.#marks--;
    // Behind the last mark are values only.
    const values = this.#stack.splice(at) as PickleValue[];
    values.shift();
    return values;
  }

  popTuple(length: number): Tuple {
    const items: PickleValue[] = new Array(length);
    for (let i = length - 1; i >= 0; i--) items[i] = this.pop();
    return new Tuple(items);
  }

  /** Nothing may be left beside the result. */
  result(): PickleValue {
    const value = this.pop();
    if (this.#stack.length > 0) throw damaged("the pickle leaves values behind");
    return value;
  }

  put(key: number): void {
    if (this.#memo.size >= MAX_MEMO) throw damaged("the pickle's memo is too large");
    this.#memo.set(key, this.top());
  }

  memoize(): void {
    this.put(this.#memo.size);
  }

  get(key: number): void {
    const value = this.#memo.get(key);
    if (value === undefined)
      throw damaged("the pickle reads a memo that is not there", { given: String(key) });
    this.#push(value);
  }

  extend(values: readonly PickleValue[]): void {
    const list = this.top();
    if (!Array.isArray(list))
      throw damaged("the pickle appends to something that is no list", { given: describePickled(list) });
    for (const value of values) list.push(value);
  }

  setItems(values: readonly PickleValue[]): void {
    const dict = this.top();
    if (!(dict instanceof Map))
      throw damaged("the pickle sets an item of something that is no dict", { given: describePickled(dict) });
    setPairs(dict, values);
  }

  addItems(values: readonly PickleValue[]): void {
    const set = this.top();
    if (!(set instanceof Set))
      throw damaged("the pickle adds to something that is no set", { given: describePickled(set) });
    for (const value of values) set.add(value);
  }

  /** REDUCE and NEWOBJ: the table's data, or a placeholder where that is allowed; nothing is ever called. */
  call(): void {
    const args = this.pop();
    const callee = this.pop();
    if (!(callee instanceof GlobalName) || !(args instanceof Tuple)) {
      throw damaged("the pickle calls something that is no name", { given: describePickled(callee) });
    }
    const { path } = callee;
    for (const argument of args.items) this.#copied += copySize(argument);
    if (this.#copied > MAX_COPIED) throw damaged("the pickle copies too much");
    const made = construct(path, args.items);
    if (made !== undefined) this.push(made);
    else if (this.#options.placeholders?.(path)) this.push(new Placeholder(path));
    else {
      throw damaged("the pickle asks to call something that is not on the list of constructors", {
        given: quoted(path),
        do: 'nothing was called; save the weights alone (torch.save(model.state_dict(), …)), or open with unknown: "placeholder" for what else is in the file',
        details: { global: path },
      });
    }
  }

  /** BUILD: placeholders keep the state; dicts and tensors do without their attributes. */
  build(): void {
    const state = this.pop();
    const target = this.top();
    if (target instanceof Placeholder) target.state = state;
    else if (!(target instanceof Map) && !(target instanceof PickledTensor))
      throw damaged("the pickle gives attributes to something that has none", {
        given: describePickled(target),
      });
  }

  persistent(): void {
    const id = this.pop();
    if (!(id instanceof Tuple) || this.#options.storage === undefined)
      throw damaged("the pickle has a persistent id that is no storage", { given: describePickled(id) });
    this.push(this.#options.storage(id));
  }
}

function copySize(value: PickleValue): number {
  if (typeof value === "string") return value.length;
  if (value instanceof Tuple) return value.items.length * ITEM_BYTES;
  if (Array.isArray(value)) return value.length * ITEM_BYTES;
  return value instanceof Map || value instanceof Set ? value.size * ITEM_BYTES : 0;
}

/** Adds keys and values that take turns. */
export function setPairs(dict: Map<PickleValue, PickleValue>, values: readonly PickleValue[]): void {
  if (values.length % 2 !== 0) throw damaged("the pickle has a key without a value");
  for (let i = 0; i < values.length; i += 2) dict.set(values[i]!, values[i + 1]!);
}
