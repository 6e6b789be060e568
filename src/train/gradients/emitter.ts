/** Emitter: writes nodes and constants into a patch under fresh names; constants are shared. */
import type { AttrInput, Patch } from "../../onnx/index.js";
import { type DType, dtypeInfo, type Element, type Tensor, tensor } from "../../tensor/index.js";

export type Attrs = Readonly<Record<string, AttrInput | undefined>>;

/** A node that was written. */
export interface Made {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly attrs: Attrs;
}

export class Emitter {
  readonly #patch: Patch;
  readonly #names: Set<string>;
  readonly #constants = new Map<string, string>();
  readonly #counters = new Map<string, number>();
  readonly #made = new Map<string, Made>();
  /** Places of maxima that were worked out here: over which value, and the maxima. */
  readonly places = new Map<string, { readonly over: string; readonly maxima: string }>();

  constructor(patch: Patch, names: Set<string>) {
    this.#patch = patch;
    this.#names = names;
  }

  fresh(base: string): string {
    for (;;) {
      const count = this.#counters.get(base) ?? 0;
      this.#counters.set(base, count + 1);
      const name = count === 0 ? base : `${base}_${count + 1}`;
      if (this.#names.has(name)) continue;
      this.#names.add(name);
      return name;
    }
  }

  /** A node of one output; returns the output's name. */
  op(op: string, inputs: readonly string[], attrs: Attrs = {}, domain = ""): string {
    return this.ops(op, inputs, attrs, 1, domain)[0]!;
  }

  /** A node of several outputs. */
  ops(op: string, inputs: readonly string[], attrs: Attrs, outputs: number, domain = ""): string[] {
    const names = Array.from({ length: outputs }, () => this.fresh(`grad/${op}`));
    this.#patch.addNode(op, inputs, attrs, { outputs: names, domain });
    if (domain === "") for (const name of names) this.#made.set(name, { op, inputs, attrs });
    return names;
  }

  /** The node that was written here for a value; undefined for values of the graph. */
  made(name: string): Made | undefined {
    return this.#made.get(name);
  }

  /** A node whose outputs have names already. */
  into(outputs: readonly string[], op: string, inputs: readonly string[], attrs: Attrs = {}): void {
    this.#patch.addNode(op, inputs, attrs, { outputs });
  }

  constant(value: Tensor, key: string): string {
    let name = this.#constants.get(key);
    if (name === undefined) {
      name = this.#patch.addInitializer(this.fresh("grad/constant"), value);
      this.#constants.set(key, name);
    }
    return name;
  }

  scalar(value: number, dtype: DType): string {
    const key = `${dtype} ${Object.is(value, -0) ? "-0" : value}`;
    const element: Element =
      dtypeInfo(dtype).kind === "bool"
        ? value !== 0
        : dtype === "int64" || dtype === "uint64"
          ? BigInt(value)
          : value;
    return this.constant(tensor(element, { dtype }).reshape([]), key);
  }

  /** A vector of int64. */
  ints(values: readonly number[]): string {
    return this.constant(
      tensor(values.map(BigInt), { dtype: "int64" }).reshape([values.length]),
      `ints ${values.join()}`,
    );
  }
}
