/** Translator: walks an exported program once and emits its ONNX graph; what it cannot translate, it collects. */
import type { GraphBuilder } from "../../onnx/index.js";
import type { DType } from "../../tensor/index.js";
import type {
  Argument,
  NamedArgument,
  ProgramGraph,
  ProgramNode,
  SymSize,
  TensorMeta,
} from "../pt2/program.js";
import { canonical } from "./aliases.js";
import { Arguments, type Bindings, type Size, type TensorValue } from "./arguments.js";
import { Emitter, type Origin } from "./emitter.js";
import type { OpHandler, OutputMeta } from "./handler.js";
import { GIVES_STATES } from "./recurrent.js";
import { isSilent, sizeOf } from "./symbols.js";
import { handlerOf } from "./table.js";
import { Unsupported } from "./unsupported.js";
import { type Sharing, sharingOf } from "./views.js";

/** One kind of node that has no ONNX form here. */
export interface UnsupportedOp {
  /** `aten.fft_rfft.default`. */
  readonly op: string;
  readonly reason: string;
  count: number;
  readonly modules: Set<string>;
}

/** A tensor that shares memory with another one. */
interface View {
  readonly base: string;
  readonly node: ProgramNode;
  readonly scope: Scope;
  readonly index: number;
  readonly sharing: Sharing;
}

/** A graph whose names carry a prefix: the program itself, or the body of a higher-order op. */
interface Scope {
  readonly graph: ProgramGraph;
  readonly prefix: string;
}

/** Higher-order ops whose body runs once, as it stands: the operands follow the graph. */
const INLINED = /^higher_order\.wrap_with_(set_grad_enabled|autocast)$/;

export class Translator {
  readonly c: Emitter;
  readonly unsupported = new Map<string, UnsupportedOp>();
  readonly #dtype: (dtype: DType) => DType;
  /** Weights are emitted when they are first read. */
  readonly #values = new Map<string, string | (() => string)>();
  readonly #metas = new Map<string, TensorMeta>();
  readonly #sizes = new Map<string, Size>();
  /** Results that a handler does not give; they matter where something reads them. */
  readonly #absent = new Map<string, { readonly origin: Origin; readonly index: number }>();
  readonly #views = new Map<string, View>();
  /** Views that have to be taken again from their base. */
  readonly #stale = new Set<string>();
  #bodies = 0;

  constructor(g: GraphBuilder, dtype: (dtype: DType) => DType) {
    this.c = new Emitter(g);
    this.#dtype = dtype;
  }

  /** Gives a name of the program its value. */
  bind(name: string, value: string | (() => string), meta: TensorMeta): void {
    this.#values.set(name, value);
    this.#metas.set(name, meta);
  }

  /** What is known of a name; undefined when the node that makes it is unsupported. */
  metaOf(name: string): TensorMeta | undefined {
    return this.#metas.get(name);
  }

  bindSize(name: string, size: Size): void {
    this.#sizes.set(name, size);
  }

  /** The value of a name; undefined when the node that makes it is unsupported. */
  valueOf(name: string): string | undefined {
    try {
      return this.#tensor(name).value;
    } catch (error) {
      if (error instanceof Unsupported) return undefined;
      throw error;
    }
  }

  run(graph: ProgramGraph): void {
    this.#run({ graph, prefix: "" });
  }

  #run(scope: Scope): void {
    const live = liveNodes(scope.graph);
    for (const node of scope.graph.nodes) if (live.has(node)) this.#translate(node, scope);
  }

  #translate(node: ProgramNode, scope: Scope): void {
    const target = targetOf(node);
    if (isSilent(target)) return;
    this.c.origin = { op: target, module: node.module };
    try {
      if (INLINED.test(target)) this.#inline(node, scope);
      else if (!this.#bindSizes(node, target, scope)) this.#emit(node, target, scope);
    } catch (error) {
      if (!(error instanceof Unsupported)) throw error;
      if (error.message !== MISSING) this.refuse({ op: target, module: node.module }, error.message);
    }
  }

  /** Notes a node that has no form here. */
  refuse({ op, module }: Origin, reason: string): void {
    const key = `${op}\n${reason}`;
    const known = this.unsupported.get(key) ?? { op, reason, count: 0, modules: new Set<string>() };
    known.count++;
    known.modules.add(module);
    this.unsupported.set(key, known);
  }

  #bindSizes(node: ProgramNode, target: string, scope: Scope): boolean {
    const size = sizeOf(this.c, node, target, this.#bindings(scope));
    if (size === undefined) return false;
    const [output] = node.outputs;
    if (output?.kind === "symInt" && typeof output.value === "object")
      this.#sizes.set(scope.prefix + output.value.name, size);
    return true;
  }

  #emit(node: ProgramNode, target: string, scope: Scope): void {
    const names = namesOf(node.outputs).map((name) => (name === "" ? "" : scope.prefix + name));
    const inPlace = inPlaceOf(target);
    const functional = inPlace === undefined ? target : inPlace;
    const handler = handlerOf(target) ?? (inPlace === undefined ? undefined : handlerOf(inPlace));
    if (handler === undefined) throw new Unsupported("no handler");
    const states = GIVES_STATES.has(target) ? readNames(node.inputs[1]!.arg) : [];
    const metas = names.map((name, i) =>
      // torch 2.6 describes them with an axis too many.
      states[i - 1] === undefined ? this.#meta(name, scope) : this.#metas.get(scope.prefix + states[i - 1]),
    );
    const values = this.#call(handler, node, scope, metas);
    names.forEach((name, i) => {
      if (name === "") return;
      if (values[i] === undefined) this.#absent.set(name, { origin: this.c.origin, index: i });
      else this.bind(name, values[i], metas[i]!);
    });
    const first = node.inputs[0]?.arg;
    if (first?.kind !== "tensor") return;
    const base = scope.prefix + first.name;
    if (inPlace !== undefined && handlerOf(target) === undefined) {
      this.#write(base, names[0]!, values[0]!, node, scope);
      return;
    }
    const baseMeta = this.#metas.get(base);
    const op = canonical(functional).replace(/^aten\./, "");
    names.forEach((name, index) => {
      const meta = metas[index];
      if (name === "" || baseMeta === undefined || meta === undefined) return;
      const args = new Arguments(node.inputs, this.#bindings(scope));
      const sharing = sharingOf(op, args, baseMeta, meta);
      if (sharing !== undefined) this.#views.set(name, { base, node, scope, index, sharing });
    });
  }

  #call(
    handler: OpHandler,
    node: ProgramNode,
    scope: Scope,
    metas: readonly (TensorMeta | undefined)[],
  ): readonly string[] {
    const args = new Arguments(node.inputs, this.#bindings(scope));
    const outputs = metas.flatMap((meta) => (meta === undefined ? [] : [this.#outputMeta(meta)]));
    if (outputs.length === 0) throw new Unsupported("a result that is no tensor");
    // Whatever an op does, there is one tensor without elements of a shape; kernels differ on how they make it.
    if (outputs.every(isEmpty))
      return outputs.map(({ dims, dtype }) => this.c.full(dims as number[], 0, dtype));
    const result = handler(this.c, args, outputs[0]!, outputs);
    const unread = args.unread();
    if (unread.length > 0) throw new Unsupported(`argument ${unread.join(", ")}`);
    return typeof result === "string" ? [result] : result;
  }

  /** `name` was made by writing `value` over `target`: all that share its memory see it. */
  #write(target: string, name: string, value: string, node: ProgramNode, scope: Scope): void {
    const chain = new Set([target, name]);
    this.#values.set(target, value);
    this.#stale.delete(target);
    this.#views.set(name, { base: target, node, scope, index: 0, sharing: WRITTEN });
    let current = target;
    let written = value;
    for (let view = this.#views.get(current); view !== undefined; view = this.#views.get(current)) {
      const base = this.#tensor(view.base);
      const args = new Arguments(view.node.inputs, this.#bindings(view.scope));
      written = view.sharing.writeBack(this.c, args, base, written, view.index);
      this.#values.set(view.base, written);
      this.#stale.delete(view.base);
      chain.add(view.base);
      current = view.base;
    }
    const root = current;
    for (const other of this.#views.keys()) {
      if (chain.has(other)) continue;
      let at: string | undefined = other;
      while (at !== undefined && at !== root) at = this.#views.get(at)?.base;
      if (at === root) this.#stale.add(other);
    }
  }

  /** Takes a view again, after what it shows was written. */
  #refresh(name: string): void {
    const { node, base, scope, index, sharing } = this.#views.get(name)!;
    if (sharing.uncertain) {
      const origin = { op: targetOf(node), module: node.module };
      this.refuse(origin, "a later write to what it may show or have copied");
      throw new Unsupported(MISSING);
    }
    this.#stale.delete(name);
    if (sharing === WRITTEN) {
      this.#values.set(name, this.#tensor(base).value);
      return;
    }
    const target = targetOf(node);
    const names = namesOf(node.outputs).map((output) => scope.prefix + output);
    const values = this.#call(
      handlerOf(target)!,
      node,
      scope,
      names.map((output) => this.#metas.get(output)),
    );
    this.#values.set(name, values[index]!);
  }

  #inline(node: ProgramNode, scope: Scope): void {
    const at = node.inputs.findIndex(({ arg }) => arg.kind === "graph");
    const body = node.inputs[at]?.arg;
    if (body?.kind !== "graph") throw new Unsupported("no body");
    const inner: Scope = { graph: body.graph, prefix: `${scope.prefix}body${this.#bodies++}/` };
    const operands = node.inputs.slice(at + 1).flatMap(({ arg }) => flatten(arg));
    body.graph.inputs.flatMap(flatten).forEach((input, i) => {
      this.#alias(operands[i], scope, input, inner);
    });
    this.#run(inner);
    const results = body.graph.outputs.flatMap(flatten);
    node.outputs.flatMap(flatten).forEach((output, i) => {
      this.#alias(results[i], inner, output, scope);
    });
  }

  #alias(from: Argument | undefined, outer: Scope, to: Argument, inner: Scope): void {
    if (from?.kind === "tensor" && to.kind === "tensor") {
      const meta = this.#metas.get(outer.prefix + from.name);
      if (meta !== undefined)
        this.bind(inner.prefix + to.name, this.#tensor(outer.prefix + from.name).value, meta);
    } else if (to.kind === "symInt" && typeof to.value === "object" && from !== undefined) {
      if (from.kind === "int") this.#sizes.set(inner.prefix + to.value.name, Number(from.value));
      else if (from.kind === "symInt") {
        const size =
          typeof from.value === "object" ? this.#size(outer.prefix + from.value.name) : Number(from.value);
        this.#sizes.set(inner.prefix + to.value.name, size);
      }
    }
  }

  #bindings(scope: Scope): Bindings {
    return {
      tensor: (name) => this.#tensor(scope.prefix + name),
      size: (name) => this.#size(scope.prefix + name),
      dtype: this.#dtype,
    };
  }

  #tensor(name: string): TensorValue {
    if (this.#stale.has(name)) this.#refresh(name);
    const value = this.#values.get(name);
    const meta = this.#metas.get(name);
    const absent = this.#absent.get(name);
    if (absent !== undefined) this.refuse(absent.origin, `its result ${absent.index}`);
    if (value === undefined || meta === undefined) throw new Unsupported(MISSING);
    const emitted = typeof value === "string" ? value : value();
    if (emitted !== value) this.#values.set(name, emitted);
    return { value: emitted, name, ...this.#outputMeta(meta) };
  }

  #size(name: string): Size {
    const size = this.#sizes.get(name);
    if (size === undefined) throw new Unsupported(MISSING);
    return size;
  }

  #meta(name: string, scope: Scope): TensorMeta | undefined {
    return name === "" ? undefined : scope.graph.tensors.get(name.slice(scope.prefix.length));
  }

  #outputMeta({ dtype, sizes }: TensorMeta): OutputMeta {
    return {
      dtype: this.#dtype(dtype),
      dims: sizes.map((size: SymSize) => (typeof size === "number" ? size : null)),
      rank: sizes.length,
    };
  }
}

/** Known to have no elements, and all sizes known. */
function isEmpty({ dims }: OutputMeta): boolean {
  return dims.includes(0) && !dims.includes(null);
}

/** What an op that writes in place returns: its first argument. */
const WRITTEN: Sharing = { writeBack: (_c, _args, _base, value) => value, uncertain: false };

/** An operand whose own node is unsupported: reported there. */
const MISSING = "an operand is missing";

/** The functional twin of an op that writes its first argument: `aten.relu.default` of `aten.relu_.default`. */
function inPlaceOf(target: string): string | undefined {
  const match = /^(\w+)\.(\w*[a-z0-9])_\.(\w+)$/.exec(target);
  return match === null ? undefined : `${match[1]}.${match[2]}.${match[3]}`;
}

/** Without the namespace of all ops: `aten.linear.default`. */
function targetOf({ target }: ProgramNode): string {
  return target.replace(/^torch\.ops\./, "");
}

function isWritten(node: ProgramNode): boolean {
  return inPlaceOf(targetOf(node)) !== undefined;
}

function namesOf(outputs: readonly Argument[]): string[] {
  return outputs.flatMap((arg) => {
    if (arg.kind === "tensor") return [arg.name];
    if (arg.kind === "tensors") return [...arg.names];
    if (arg.kind === "optionalTensors") return arg.names.map((name) => name ?? "");
    return arg.kind === "none" ? [""] : [];
  });
}

function flatten(arg: Argument): Argument[] {
  if (arg.kind === "tensors") return arg.names.map((name) => ({ kind: "tensor", name }));
  return [arg];
}

/** Nodes that the outputs need, and all that write in place. */
function liveNodes(graph: ProgramGraph): ReadonlySet<ProgramNode> {
  const wanted = new Set(graph.outputs.flatMap(readNames));
  const live = new Set<ProgramNode>();
  for (const node of graph.nodes.toReversed()) {
    const writes = isWritten(node);
    const made = node.outputs.flatMap(readNames);
    if (!writes && !made.some((name) => wanted.has(name))) continue;
    live.add(node);
    for (const { arg } of node.inputs as readonly NamedArgument[])
      for (const name of readNames(arg)) wanted.add(name);
  }
  return live;
}

function readNames(arg: Argument): string[] {
  switch (arg.kind) {
    case "tensor":
      return [arg.name];
    case "tensors":
      return [...arg.names];
    case "optionalTensors":
      return arg.names.filter((name) => name !== null);
    case "symInt":
    case "symFloat":
    case "symBool":
      return typeof arg.value === "object" ? [arg.value.name] : [];
    case "symInts":
    case "symFloats":
    case "symBools":
      return arg.values.flatMap((value: unknown) =>
        typeof value === "object" && value !== null ? [(value as { readonly name: string }).name] : [],
      );
    default:
      return [];
  }
}
