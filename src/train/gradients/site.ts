/** Site: one node whose inputs need gradients, and the means by which a rule writes the nodes that compute them. */
import type { Attr, Dim, Inferred, Node, TensorType } from "../../onnx/index.js";
import { DTYPES, type DType, dtypeInfo, type Tensor, tensor } from "../../tensor/index.js";
import type { Attrs, Emitter, Made } from "./emitter.js";

/** Why a node cannot be differentiated; collected, so that all of them are told at once. */
export class Refusal extends Error {}

/** What a rule sees of the graph around its node. */
export interface Around {
  readonly emit: Emitter;
  readonly types: Inferred["types"];
  readonly values: Inferred["values"];
  readonly opset: number;
  /** Gradients are finite, so that a product with 0 is 0. */
  readonly finite: boolean;
  /** The node of the graph that gives a value. */
  producer(name: string): Node | undefined;
  /** Asks for an output that the node does not have yet; returns its name. */
  ensureOutput(node: Node, index: number): string;
}

export class Site {
  readonly node: Node;
  readonly opset: number;
  /** Gradients of the outputs; absent where the loss does not depend on one. */
  readonly gs: readonly (string | undefined)[];
  readonly #around: Around;
  readonly #needs: readonly boolean[];

  constructor(around: Around, node: Node, gs: readonly (string | undefined)[], needs: readonly boolean[]) {
    this.#around = around;
    this.node = node;
    this.opset = around.opset;
    this.gs = gs;
    this.#needs = needs;
  }

  /** The gradient of the first output. */
  get g(): string {
    const g = this.gs[0];
    if (g === undefined) throw new Refusal("only its further outputs are used, whose gradients have no rule");
    return g;
  }

  /** Name of an input; "" where an optional one is not given. */
  x(index: number): string {
    return this.node.inputs[index] ?? "";
  }

  has(index: number): boolean {
    return this.x(index) !== "";
  }

  /** The first output. */
  get y(): string {
    return this.output(0);
  }

  /** Name of an output, which is added to the node where it is absent. */
  output(index: number): string {
    const name = this.node.outputs[index] ?? "";
    return name === "" ? this.#around.ensureOutput(this.node, index) : name;
  }

  needs(index: number): boolean {
    return this.#needs[index] ?? false;
  }

  // ── attributes ───────────────────────────────────────────────────────────────────────────────

  int(name: string, fallback: number): number {
    const attr = this.#attr(name, "int");
    return attr === undefined ? fallback : Number(attr);
  }

  ints(name: string): number[] | undefined {
    const attr = this.#attr(name, "ints");
    return attr === undefined ? undefined : (attr as readonly (number | bigint)[]).map(Number);
  }

  float(name: string, fallback: number): number {
    const attr = this.#attr(name, "float");
    return attr === undefined ? fallback : Number(attr);
  }

  text(name: string, fallback: string): string {
    const attr = this.#attr(name, "string");
    if (attr === undefined) return fallback;
    return typeof attr === "string" ? attr : new TextDecoder().decode(attr as Uint8Array);
  }

  #attr(name: string, kind: Attr["kind"]): unknown {
    const attr = this.node.attrs.get(name);
    return attr !== undefined && attr.kind === kind && "value" in attr ? attr.value : undefined;
  }

  // ── types and values ─────────────────────────────────────────────────────────────────────────

  #type(name: string): TensorType | undefined {
    const type = this.#around.types.get(name);
    return type?.kind === "tensor" ? type : undefined;
  }

  dtype(name: string): DType {
    const dtype = this.#type(name)?.dtype;
    if (dtype == null) throw new Refusal(`the dtype of "${name}" is not known`);
    return dtype;
  }

  /** Refuses a node whose inputs at these places have several dtypes. */
  sameTypes(indices: readonly number[]): void {
    const dtypes = new Set(indices.map((index) => this.dtype(this.x(index))));
    if (dtypes.size > 1) throw new Refusal(`inputs of ${[...dtypes].join(" and ")} together have no rule`);
  }

  shape(name: string): readonly Dim[] {
    const shape = this.#type(name)?.shape;
    if (shape === undefined) throw new Refusal(`the rank of "${name}" is not known`);
    return shape;
  }

  shapeIfKnown(name: string): readonly Dim[] | undefined {
    return this.#type(name)?.shape;
  }

  rank(name: string): number {
    return this.shape(name).length;
  }

  /** All sizes as numbers. */
  dims(name: string): number[] {
    return this.shape(name).map((_, axis) => this.dim(name, axis));
  }

  dim(name: string, axis: number): number {
    const dim = this.shape(name).at(axis) ?? null;
    if (typeof dim === "number") return dim;
    throw new Refusal(
      dim === null
        ? `the size of axis ${axis} of "${name}" is not known`
        : `the size ${dim} of "${name}" is needed as a number: give it in dims`,
    );
  }

  isFixed(name: string): boolean {
    return this.#type(name)?.shape?.every((dim) => typeof dim === "number") ?? false;
  }

  /** The elements of a small constant input. */
  numbers(index: number): number[] | undefined {
    const items = this.#around.values.get(this.x(index))?.items;
    return items?.every((item) => typeof item === "number") ? [...(items as readonly number[])] : undefined;
  }

  axis(name: string, fallback: number, of: string): number {
    return this.axisOf(this.int(name, fallback), of);
  }

  axisOf(axis: number, of: string): number {
    const rank = this.rank(of);
    return axis < 0 ? axis + rank : axis;
  }

  // ── nodes ────────────────────────────────────────────────────────────────────────────────────

  op(op: string, inputs: readonly string[], attrs: Attrs = {}, domain = ""): string {
    return this.#around.emit.op(op, inputs, attrs, domain);
  }

  /** The output of the MaxPool over `of` whose indices these are. */
  maxima(indices: string, of: string): string | undefined {
    const places = this.#around.emit.places.get(indices);
    if (places !== undefined) return places.over === of ? places.maxima : undefined;
    const node = this.#around.producer(indices);
    return node?.op === "MaxPool" && node.inputs[0] === of ? node.outputs[0] : undefined;
  }

  /** The node of a gradient that is not yet in the graph. */
  made(name: string): Made | undefined {
    return this.#around.emit.made(name);
  }

  ops(op: string, inputs: readonly string[], attrs: Attrs, outputs: number): string[] {
    return this.#around.emit.ops(op, inputs, attrs, outputs);
  }

  /** A node that computes the node's own output `index`: what lowerings end with. */
  as(index: number, op: string, inputs: readonly string[], attrs: Attrs = {}): void {
    const name = this.node.outputs[index] ?? "";
    if (name !== "") this.#around.emit.into([name], op, inputs, attrs);
  }

  vector(values: readonly number[]): string {
    return this.#around.emit.ints(values);
  }

  constant(value: Tensor, key: string): string {
    return this.#around.emit.constant(value, key);
  }

  /** A scalar of the node's own float dtype. */
  k(value: number, dtype: DType = this.#floatType()): string {
    return this.#around.emit.scalar(value, dtype);
  }

  /** The dtype in which gradients are computed: the first float output's, else the first float input's. */
  #floatType(): DType {
    for (const name of [...this.node.outputs, ...this.node.inputs]) {
      const dtype = name === "" ? undefined : this.#type(name)?.dtype;
      if (dtype != null && DTYPES[dtype].kind === "float") return dtype;
    }
    throw new Refusal("its dtype is not known");
  }

  get floatType(): DType {
    return this.#floatType();
  }

  add(a: string, b: string): string {
    return this.op("Add", [a, b]);
  }
  sub(a: string, b: string): string {
    return this.op("Sub", [a, b]);
  }
  mul(a: string, b: string): string {
    return this.op("Mul", [a, b]);
  }
  div(a: string, b: string): string {
    return this.op("Div", [a, b]);
  }
  neg(a: string): string {
    return this.op("Neg", [a]);
  }
  square(a: string): string {
    return this.op("Mul", [a, a]);
  }
  where(condition: string, yes: string, no: string): string {
    return this.op("Where", [condition, yes, no]);
  }
  get finite(): boolean {
    return this.#around.finite;
  }

  /** Tells that a value holds the flat indices of the node's maxima over its input. */
  notePlaces(indices: string): void {
    this.#around.emit.places.set(indices, { over: this.x(0), maxima: this.y });
  }

  /** `a` where the condition holds, else 0. ONNX Runtime takes ten times as long for Where as for a product. */
  keep(condition: string, a: string): string {
    if (!this.#around.finite) return this.where(condition, a, this.k(0));
    return this.mul(a, this.cast(condition, this.floatType));
  }
  /** `a` where the condition does not hold, else 0. */
  drop(condition: string, a: string): string {
    if (!this.#around.finite) return this.where(condition, this.k(0), a);
    return this.keep(this.op("Not", [condition]), a);
  }
  scale(a: string, factor: number): string {
    return factor === 1 ? a : factor === -1 ? this.neg(a) : this.mul(a, this.k(factor));
  }

  cast(a: string, dtype: DType): string {
    return this.op("Cast", [a], { to: dtypeInfo(dtype).onnx! });
  }

  sum(a: string, axes: readonly number[], keepdims = 1): string {
    return axes.length === 0 ? a : this.op("ReduceSum", [a, this.vector(axes)], { keepdims });
  }

  mean(a: string, axes: readonly number[], keepdims = 1): string {
    return this.op("ReduceMean", [a, this.vector(axes)], { keepdims });
  }

  transpose(a: string, perm: readonly number[]): string {
    return perm.every((axis, i) => axis === i) ? a : this.op("Transpose", [a], { perm });
  }

  unsqueeze(a: string, axes: readonly number[]): string {
    return axes.length === 0 ? a : this.op("Unsqueeze", [a, this.vector(axes)]);
  }

  squeeze(a: string, axes: readonly number[]): string {
    return axes.length === 0 ? a : this.op("Squeeze", [a, this.vector(axes)]);
  }

  /** The shape of a value as a vector: a constant where it is known. */
  shapeOf(name: string): string {
    return this.isFixed(name) ? this.vector(this.dims(name)) : this.op("Shape", [name]);
  }

  reshape(a: string, dims: readonly number[]): string {
    return this.op("Reshape", [a, this.vector(dims)]);
  }

  /** `a` in the shape of the value `like`. */
  reshapeLike(a: string, like: string): string {
    const fixed = this.isFixed(like);
    const allowzero = !fixed || this.dims(like).includes(0) ? 1 : undefined;
    return this.op("Reshape", [a, this.shapeOf(like)], { allowzero });
  }

  /** `a` repeated to the shape of `like`. ONNX Runtime drops an Expand whose shape has a 0 where it folds constants. */
  expandLike(a: string, like: string): string {
    if (!this.isFixed(like)) return this.add(a, this.zerosLike(like));
    return this.dims(like).includes(0) ? this.zerosLike(like) : this.op("Expand", [a, this.shapeOf(like)]);
  }

  /** How many elements of `a` there are to one of `b`; NaN, not an error, where there are none. */
  share(a: string, b: string): string {
    const [all, each] = [a, b].map((name) => this.cast(this.op("Size", [name]), "float64"));
    return this.cast(this.div(all!, each!), this.floatType);
  }

  /** Whether `zerosLike` made this value. */
  isZeros(name: string): boolean {
    return this.made(name)?.op === "ConstantOfShape";
  }

  zerosLike(like: string, dtype: DType = this.dtype(like)): string {
    return this.op("ConstantOfShape", [this.shapeOf(like)], { value: tensor([0], { dtype }) });
  }

  slice(
    a: string,
    starts: readonly number[],
    ends: readonly number[],
    axes: readonly number[],
    steps?: readonly number[],
  ): string {
    const inputs = [a, this.vector(starts), this.vector(ends), this.vector(axes)];
    return this.op("Slice", steps === undefined ? inputs : [...inputs, this.vector(steps)]);
  }

  /** The sum of a gradient over the axes along which the value `to` was repeated to the shape of `from`. */
  unbroadcast(g: string, from: string, to: string): string {
    return this.unbroadcastFrom(g, this.shape(from), to);
  }

  unbroadcastFrom(g: string, from: readonly Dim[], to: string): string {
    const target = this.shape(to);
    const leading = from.length - target.length;
    const axes = Array.from({ length: leading }, (_, i) => i);
    let inner = false;
    let unknown = false;
    target.forEach((dim, i) => {
      const wide = from[leading + i]!;
      if (dim === 1 && wide !== 1) {
        axes.push(leading + i);
        inner = true;
      } else if (typeof dim !== "number" && (dim === null || dim !== wide)) unknown = true;
    });
    if (unknown) return this.#unbroadcastAtRun(g, leading, to);
    if (axes.length === 0) return g;
    const full = axes.every((axis) => typeof from[axis] === "number" && from[axis] !== 0);
    if (!inner && full) return this.sum(g, axes, 0);
    const kept = this.sum(g, axes, 1);
    return this.squeeze(kept, axes.slice(0, leading));
  }

  /** The same where it is not known before the run along which axes the value was repeated. */
  #unbroadcastAtRun(g: string, leading: number, to: string): string {
    const shape = this.op("Shape", [to]);
    const padded =
      leading === 0
        ? shape
        : this.op("Concat", [this.vector(new Array<number>(leading).fill(1)), shape], { axis: 0 });
    const single = this.op("Equal", [padded, this.k(1, "int64")]);
    const axes = this.op("Reshape", [this.op("NonZero", [single]), this.vector([-1])]);
    const sum = this.op("ReduceSum", [g, axes], { keepdims: 1, noop_with_empty_axes: 1 });
    return this.op("Reshape", [sum, shape], { allowzero: 1 });
  }
}

/** A rule's answer for each input: its gradient, ZERO, NONE, or undefined where there is no rule. */
export type Gradients = readonly (string | undefined)[];

export type Rule = (site: Site) => Gradients;

/** Writes other nodes in place of the site's, which compute the same outputs and can be differentiated. */
export type Lowering = (site: Site) => void;

/** The answer of a rule for an input on which the output depends only in jumps. */
export const ZERO = "\0zero";

/** The answer of a rule for an input on which the output does not depend. */
export const NONE = "\0none";
