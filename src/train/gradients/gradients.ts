/** gradients(graph, { loss, wrt }): reverse-mode differentiation of an ONNX graph into an ONNX graph. */
import { TenonError } from "../../base/index.js";
import {
  allNamesOf,
  type Graph,
  type Inferred,
  inferTypes,
  inlineFunctions,
  makeGraph,
  type Node,
  type OnnxModel,
  Patch,
  removeDead,
  run,
  specialiseDims,
  upgrade,
  usesOf,
  type Value,
} from "../../onnx/index.js";
import { DTYPES, tensor } from "../../tensor/index.js";
import { Emitter } from "./emitter.js";
import { type Around, NONE, Refusal, Site, ZERO } from "./site.js";
import { type Row, rowOf } from "./table.js";

export interface GradientOptions {
  /** Any float value of exactly one element. */
  readonly loss: string;
  /** Float inputs, initializers or intermediate values, at least one. */
  readonly wrt: readonly string[];
  /** Further values that become outputs. */
  readonly keep?: readonly string[];
  /** Sizes of symbolic dims. */
  readonly dims?: Readonly<Record<string, number>>;
  /** Values through which no gradient flows. */
  readonly stop?: readonly string[];
  /**
   * Take gradients on the way to be finite: where an activation is off, they are multiplied by 0, which is several times as
   * fast as choosing but makes an infinity a NaN. Default false.
   */
  readonly finite?: boolean;
  /** What a value is on which the loss does not depend: an error (default), or zeros. */
  readonly unused?: "error" | "zero";
}

const LEAST_OPSET = 20;
const MOST_ROUNDS = 8;

/**
 * The graph with the gradients of `loss` with respect to each of `wrt`. Its inputs are those of `graph`; its outputs
 * are `loss`, one gradient per entry of `wrt` in that order, of the value's shape and dtype, then `keep`. A gradient is
 * named `<name>_grad`, or the first free of `<name>_grad_2`, `_3`, …. The result can be differentiated again.
 *
 * Synchronous and pure; loads no runtime. Opsets below 20 are upgraded, local functions written out. Nodes that are
 * in inference mode (Dropout, BatchNormalization) stay so. Kinks and ties follow PyTorch: Relu and Abs give 0 at 0,
 * Max and ReduceMax share the gradient evenly among equals, MaxPool and TopK give all of it to the element they chose;
 * steps (Sign, Floor, Round) give 0. Clip passes the gradient at its bounds.
 *
 * Throws USAGE for values that do not exist, are not float, or (`unused: "error"`) on which the loss does not depend,
 * and MODEL_UNSUPPORTED for nodes that have no rule; every finding is in the message and in `details.findings`.
 */
export function gradients(graph: OnnxModel, options: GradientOptions): OnnxModel {
  let model = prepared(graph, options);
  const findings = new Findings();
  checkNames(model, options, findings);
  findings.throwIfAny();
  model = lowered(model, options, findings);
  findings.throwIfAny();
  const result = new Backward(model, options, findings).result();
  findings.throwIfAny();
  return run(result!, [removeDead]);
}

function prepared(graph: OnnxModel, options: GradientOptions): OnnxModel {
  let model = (graph.opsets.get("") ?? 0) < LEAST_OPSET ? upgrade(graph, LEAST_OPSET) : graph;
  if (model.functions.size > 0) model = run(model, [inlineFunctions()]);
  const dims = options.dims ?? {};
  return Object.keys(dims).length === 0 ? model : run(model, [specialiseDims(dims)]);
}

/** What is wrong, in words, all of it. */
class Findings {
  readonly #unknown: string[] = [];
  readonly #unsupported: string[] = [];

  /** Of the call. */
  call(finding: string): void {
    this.#unknown.push(finding);
  }

  /** Of the model. */
  model(finding: string): void {
    this.#unsupported.push(finding);
  }

  get anyOfModel(): boolean {
    return this.#unsupported.length > 0;
  }

  throwIfAny(): void {
    const all = [...this.#unknown, ...this.#unsupported];
    if (all.length === 0) return;
    throw new TenonError(this.#unknown.length > 0 ? "USAGE" : "MODEL_UNSUPPORTED", {
      problem: "the gradients cannot be built",
      given: all.join("; "),
      ...(this.#unsupported.length > 0
        ? { do: "leave the values that need it out of wrt (freeze them), or replace the node" }
        : {}),
      details: { findings: all },
    });
  }
}

function checkNames(model: OnnxModel, options: GradientOptions, findings: Findings): void {
  const { types } = inferTypes(model, { conflicts: "note" });
  const { graph } = model;
  const known = new Set([
    ...graph.inputs.map(({ name }) => name),
    ...graph.initializers.keys(),
    ...graph.nodes.flatMap((node) => node.outputs),
  ]);
  const { loss, wrt, keep = [] } = options;
  if (wrt.length === 0) findings.call("wrt names no value");
  for (const name of new Set([loss, ...wrt, ...keep]))
    if (name === "" || !known.has(name)) findings.call(`the graph has no value "${name}"`);
  for (const name of new Set([loss, ...wrt])) {
    if (name === "" || !known.has(name)) continue;
    const type = types.get(name);
    const dtype = type?.kind === "tensor" ? type.dtype : null;
    if (dtype === null || !isFloat(dtype))
      findings.call(`"${name}" is not float (${dtype ?? "of unknown type"})`);
  }
  const type = types.get(loss);
  const shape = type?.kind === "tensor" ? type.shape : undefined;
  if (known.has(loss) && !shape?.every((dim) => dim === 1))
    findings.call(`the loss "${loss}" is not a single element (${shape?.join(" × ") ?? "of unknown rank"})`);
  const outputs = [loss, ...keep];
  for (const name of new Set(outputs.filter((each, i) => outputs.indexOf(each) !== i)))
    findings.call(`"${name}" is an output twice (loss, keep)`);
}

function isFloat(dtype: keyof typeof DTYPES): boolean {
  return DTYPES[dtype].kind === "float" && DTYPES[dtype].bits >= 16;
}

/** Which nodes lie between `wrt` and the loss, and which values carry gradients. */
interface Path {
  /** Values whose gradient is wanted, or on the way to one that is. */
  readonly needed: ReadonlySet<string>;
  readonly nodes: ReadonlySet<Node>;
}

function rowFor(node: Node): Row {
  return (
    rowOf(node.domain, node.op) ?? {
      kind: "refused",
      reason: node.domain === "" ? "it is not known here" : `ops of ${node.domain} have no rule`,
    }
  );
}

function pathOf(graph: Graph, types: Inferred["types"], { loss, wrt, stop = [] }: GradientOptions): Path {
  const needed = new Set(wrt);
  const stopped = new Set(stop);
  for (const node of graph.nodes) {
    if (rowFor(node).kind === "ends") continue;
    if (![...usesOf(node)].some((name) => needed.has(name))) continue;
    for (const name of node.outputs) {
      const type = types.get(name);
      const ends = type?.kind === "tensor" && type.dtype !== null && !isFloat(type.dtype);
      if (name !== "" && !ends && !stopped.has(name)) needed.add(name);
    }
  }
  const live = new Set([loss]);
  const nodes = new Set<Node>();
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some((name) => name !== "" && live.has(name) && needed.has(name))) continue;
    if (![...usesOf(node)].some((name) => needed.has(name))) continue;
    if (rowFor(node).kind === "ends") continue;
    nodes.add(node);
    for (const name of usesOf(node)) if (needed.has(name)) live.add(name);
  }
  return { needed, nodes };
}

/** The entries of `wrt` from which a node is reached. */
function neededBy(graph: Graph, node: Node, wrt: readonly string[]): string[] {
  const seen = new Set<string>(usesOf(node));
  for (const each of [...graph.nodes].reverse())
    if (each.outputs.some((name) => seen.has(name))) for (const name of usesOf(each)) seen.add(name);
  return wrt.filter((name) => seen.has(name));
}

function refuse(
  model: OnnxModel,
  node: Node,
  reason: string,
  wrt: readonly string[],
  findings: Findings,
): void {
  const name =
    node.name === "" ? `of output "${node.outputs.find((each) => each !== "") ?? ""}"` : `"${node.name}"`;
  const op = node.domain === "" ? node.op : `${node.domain}:${node.op}`;
  const by = neededBy(model.graph, node, wrt);
  const few = by.slice(0, 5).join(", ") + (by.length > 5 ? ` and ${by.length - 5} more` : "");
  findings.model(`node ${name} (${op}): ${reason}; needed by ${few}`);
}

/** Ops on the path that are written out in others give way to them. */
function lowered(model: OnnxModel, options: GradientOptions, findings: Findings): OnnxModel {
  let current = model;
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const { types, values } = inferTypes(current, { conflicts: "note" });
    const { nodes } = pathOf(current.graph, types, options);
    const names = allNamesOf(current.graph);
    const patch = new Patch(current.graph, current.opsets, names);
    const emit = new Emitter(patch, names);
    let changed = false;
    for (const node of current.graph.nodes) {
      const row = nodes.has(node) ? rowFor(node) : undefined;
      if (row?.kind !== "lower") continue;
      const around: Around = {
        emit,
        types,
        values,
        opset: current.opsets.get("") ?? 0,
        finite: options.finite ?? false,
        producer: () => undefined,
        ensureOutput: () => {
          throw new Refusal("an output that the node does not give");
        },
      };
      const site = new Site(around, node, [], []);
      if (row.when?.(site) === false) continue;
      try {
        row.lower(site);
        patch.removeNode(node);
        changed = true;
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        refuse(current, node, error.message, options.wrt, findings);
      }
    }
    findings.throwIfAny();
    if (!changed) return current;
    const graph = patch.apply();
    current = run(current, [{ name: "lower", apply: (each) => Object.freeze({ ...each, graph }) }]);
  }
  return current;
}

class Backward {
  readonly #model: OnnxModel;
  readonly #options: GradientOptions;
  readonly #findings: Findings;
  readonly #inferred: Inferred;
  readonly #patch: Patch;
  readonly #names: Set<string>;
  readonly #emit: Emitter;
  readonly #parts = new Map<string, string[]>();
  /** Values on which the loss depends in jumps only. */
  readonly #jumps = new Set<string>();
  readonly #producers = new Map<string, Node>();
  /** Nodes that get more outputs than they have. */
  readonly #extended = new Map<Node, string[]>();

  constructor(model: OnnxModel, options: GradientOptions, findings: Findings) {
    this.#model = model;
    this.#options = options;
    this.#findings = findings;
    this.#inferred = inferTypes(model, { conflicts: "note" });
    this.#names = allNamesOf(model.graph);
    for (const node of model.graph.nodes) for (const name of node.outputs) this.#producers.set(name, node);
    this.#patch = new Patch(model.graph, model.opsets, this.#names);
    this.#emit = new Emitter(this.#patch, this.#names);
  }

  result(): OnnxModel | undefined {
    const { graph } = this.#model;
    const { loss, wrt } = this.#options;
    const path = pathOf(graph, this.#inferred.types, this.#options);
    const type = this.#inferred.types.get(loss);
    const dtype = type?.kind === "tensor" ? type.dtype! : "float32";
    const rank = type?.kind === "tensor" ? type.shape!.length : 0;
    const one = tensor([1], { dtype }).reshape(new Array<number>(rank).fill(1));
    this.#parts.set(loss, [this.#emit.constant(one, `one ${dtype} ${rank}`)]);
    for (const node of [...graph.nodes].reverse()) if (path.nodes.has(node)) this.#visit(node, path);
    const gradients = wrt.map((name) => this.#finished(name));
    if (this.#options.unused !== "zero") {
      gradients.forEach((grad, i) => {
        // Behind a refused node nothing more is known.
        if (grad === undefined && !this.#jumps.has(wrt[i]!) && !this.#findings.anyOfModel)
          this.#findings.call(`the loss does not depend on "${wrt[i]}"`);
      });
    }
    this.#findings.throwIfAny();
    return this.#assembled(gradients);
  }

  /** The sum of what reached a value. */
  #finished(name: string): string | undefined {
    const parts = this.#parts.get(name);
    if (parts === undefined) return undefined;
    while (parts.length > 1) parts.unshift(this.#emit.op("Add", parts.splice(0, 2)));
    return parts[0];
  }

  #visit(node: Node, { needed }: Path): void {
    const gs = node.outputs.map((name) => (name === "" ? undefined : this.#finished(name)));
    const row = rowFor(node);
    if (gs.every((g) => g === undefined)) {
      if (row.kind !== "ends" && node.outputs.some((name) => this.#jumps.has(name)))
        for (const name of usesOf(node)) if (needed.has(name)) this.#jumps.add(name);
      return;
    }
    const rule = row.kind === "rule" || row.kind === "lower" ? row.rule : undefined;
    if (rule === undefined) {
      const inner = [...node.attrs].find(([, attr]) => attr.kind === "graph");
      const reason = row.kind === "refused" ? row.reason : "it has no rule";
      const where = inner === undefined ? reason : `${reason} (subgraph ${inner[0]})`;
      refuse(this.#model, node, where, this.#options.wrt, this.#findings);
      return;
    }
    const around: Around = {
      emit: this.#emit,
      types: this.#inferred.types,
      values: this.#inferred.values,
      opset: this.#model.opsets.get("") ?? 0,
      finite: this.#options.finite ?? false,
      producer: (name) => this.#producers.get(name),
      ensureOutput: (of, index) => this.#ensureOutput(of, index),
    };
    const needs = node.inputs.map((name) => needed.has(name));
    try {
      const grads = rule(new Site(around, node, gs, needs));
      node.inputs.forEach((name, i) => {
        const grad = grads[i];
        if (!needs[i] || grad === NONE) return;
        if (grad === ZERO) this.#jumps.add(name);
        else if (grad === undefined) throw new Refusal(`its input ${i} has no rule`);
        else this.#parts.set(name, [...(this.#parts.get(name) ?? []), grad]);
      });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      refuse(this.#model, node, error.message, this.#options.wrt, this.#findings);
    }
  }

  #ensureOutput(node: Node, index: number): string {
    let outputs = this.#extended.get(node);
    if (outputs === undefined) {
      outputs = [...node.outputs];
      this.#extended.set(node, outputs);
    }
    while (outputs.length <= index) outputs.push("");
    if (outputs[index] === "") outputs[index] = this.#emit.fresh(`grad/${node.op}`);
    this.#producers.set(outputs[index]!, node);
    return outputs[index]!;
  }

  #assembled(gradients: readonly (string | undefined)[]): OnnxModel {
    const { loss, wrt, keep = [] } = this.#options;
    const { types } = this.#inferred;
    for (const [node, outputs] of this.#extended) {
      this.#patch.removeNode(node);
      this.#patch.addNode(node.op, node.inputs, Object.fromEntries(node.attrs), {
        name: node.name,
        domain: node.domain,
        outputs,
      });
    }
    const value = (name: string, like = name): Value => {
      const type = types.get(like);
      return type === undefined ? { name } : { name, type };
    };
    const outputs = [value(loss)];
    gradients.forEach((grad, i) => {
      const name = this.#emit.fresh(`${wrt[i]}_grad`);
      if (grad === undefined) this.#zeros(wrt[i]!, name);
      else this.#emit.into([name], "Identity", [grad]);
      outputs.push(value(name, wrt[i]));
    });
    outputs.push(...keep.map((name) => value(name)));
    const graph = this.#patch.apply();
    const ends = new Set(outputs.map(({ name }) => name));
    const valueInfo = new Map([...graph.valueInfo].filter(([name]) => !ends.has(name)));
    return Object.freeze({ ...this.#model, graph: makeGraph({ ...graph, outputs, valueInfo }) });
  }

  #zeros(like: string, name: string): void {
    const type = this.#inferred.types.get(like);
    const dtype = type?.kind === "tensor" ? type.dtype! : "float32";
    const shape = this.#emit.op("Shape", [like]);
    this.#emit.into([name], "ConstantOfShape", [shape], { value: tensor([0], { dtype }) });
  }
}
