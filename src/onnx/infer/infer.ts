/** infer(model): element types and shapes of every value, from the inputs forward. */
import { TenonError } from "../../base/index.js";
import { checkTypes, type TypeName, typeName } from "../check-types.js";
import { defect, describeNode } from "../defect.js";
import {
  type Attr,
  type Dim,
  type FunctionDef,
  functionKey,
  type Graph,
  type Model,
  makeGraph,
  mapGraphs,
  type Node,
  type TensorData,
  type Value,
  type ValueType,
} from "../graph.js";
import { withGraph } from "../pass.js";
import { opRow } from "../spec.js";
import { formatType } from "../types.js";
import { Call, type InferBody, type Output } from "./call.js";
import { canonicalDim } from "./dim.js";
import { mergeTypes, TypeConflict } from "./merge.js";
import { ruleNameOf } from "./ops.js";
import { RULES } from "./rules.js";
import { dtypeOfShort } from "./rules-make.js";
import { type Small, smallOf } from "./small.js";
import { firstValueOf } from "./values.js";

export interface InferOptions {
  /**
   * What a declared type is that cannot be true: `error` (default) throws MODEL_INVALID, `note` goes on with what
   * follows from the nodes.
   */
  readonly conflicts?: "error" | "note";
}

/** What is known about a model's main graph. */
export interface Inferred {
  readonly types: ReadonlyMap<string, ValueType>;
  /** Values of small integer tensors (a float or bool that takes part in shape arithmetic too). */
  readonly values: ReadonlyMap<string, Small>;
  /** Node outputs of the main graph whose rank, element type or one of whose sizes is not known. */
  readonly gaps: number;
  /** What did not fit, where that is no error: declared types under `conflicts: "note"`, branches that cannot run. */
  readonly notes: readonly string[];
}

/** Bodies of called functions are entered this often at most; calls beyond it have outputs of unknown type. */
const MOST_CALLED_NODES = 100_000;
const DEEPEST_CALL = 64;

interface State {
  readonly model: Model;
  readonly conflicts: "error" | "note";
  readonly notes: string[];
  /** Graphs with their types filled in, by the graph that was read. */
  readonly filled: Map<Graph, Graph>;
  calledNodes: number;
}

/** One graph or function body while it is inferred. */
interface Scope {
  readonly state: State;
  readonly outer: Scope | undefined;
  readonly opsets: ReadonlyMap<string, number>;
  readonly types: Map<string, ValueType>;
  readonly values: Map<string, Small>;
  /** In a function: the attributes of the call. */
  readonly references: ReadonlyMap<string, Attr> | undefined;
  readonly depth: number;
  /** Declared types of this graph's values. */
  readonly declared: (name: string) => ValueType | undefined;
  /** A branch may hold what could not run, for it may never run. */
  readonly tolerant: boolean;
}

/**
 * The model with the type of every value that can be told: declared types and those that follow from the nodes,
 * together, in `valueInfo` and on the outputs, at all depths. Sizes are numbers, symbols of the inputs, expressions
 * over them (`2*S+1`, `B*S`) or unknown.
 *
 * The model is taken to have passed `check`. Throws MODEL_INVALID for shapes that cannot be, and for a declared type
 * that contradicts what follows (see `conflicts`). Linear in nodes; reads weights of at most 64 elements.
 */
export function infer(model: Model, options: InferOptions = {}): Model {
  const { state } = inferState(model, options);
  return withGraph(model, state.filled.get(model.graph)!);
}

/** The main graph and its inner graphs with inferred types, by the graph that was given. */
export function inferredGraphs(model: Model): ReadonlyMap<Graph, Graph> {
  return inferState(model, { conflicts: "note" }).state.filled;
}

/** The same facts as maps, for passes that need values too. */
export function inferTypes(model: Model, options: InferOptions = {}): Inferred {
  const { state, scope } = inferState(model, options);
  let gaps = 0;
  for (const node of model.graph.nodes) {
    for (const name of node.outputs) if (name !== "" && !isComplete(scope.types.get(name))) gaps++;
  }
  return { types: scope.types, values: scope.values, gaps, notes: state.notes };
}

function isComplete(type: ValueType | undefined): boolean {
  if (type === undefined) return false;
  if (type.kind === "sequence" || type.kind === "optional") return isComplete(type.element ?? undefined);
  if (type.kind !== "tensor") return true;
  return type.dtype !== null && (type.shape?.every((dim) => dim !== null) ?? false);
}

function inferState(model: Model, options: InferOptions): { state: State; scope: Scope } {
  const state: State = {
    model,
    conflicts: options.conflicts ?? "error",
    notes: [],
    filled: new Map(),
    calledNodes: 0,
  };
  const place = {
    state,
    outer: undefined,
    opsets: model.opsets,
    references: undefined,
    depth: 0,
    tolerant: false,
  };
  return { state, scope: inferGraph(model.graph, [], place) };
}

type Place = Omit<Scope, "types" | "values" | "declared">;

function inferGraph(graph: Graph, given: readonly (ValueType | undefined)[], place: Place): Scope {
  const outputs = new Map(graph.outputs.map(({ name, type }) => [name, type]));
  const scope: Scope = {
    ...place,
    types: new Map(),
    values: new Map(),
    declared: (name) => outputs.get(name) ?? graph.valueInfo.get(name)?.type,
  };
  graph.inputs.forEach(({ name, type }, i) => void settle(name, type, given[i], scope));
  for (const [name, data] of graph.initializers) addInitializer(name, data, scope);
  for (const [name, { values, dims }] of graph.sparseInitializers) {
    settle(name, scope.types.get(name), { kind: "tensor", dtype: values.dtype, shape: dims }, scope);
  }
  const nodes = graph.nodes.map((node) => {
    inferNode(node, scope);
    const attrs = mapGraphs(node.attrs, (inner) => place.state.filled.get(inner) ?? inner);
    return attrs === node.attrs ? node : Object.freeze({ ...node, attrs });
  });
  // A body that is inferred more than once keeps what held last, which is what holds in every round.
  place.state.filled.set(graph, filledGraph(graph, nodes, scope));
  return scope;
}

function addInitializer(name: string, data: TensorData, scope: Scope): void {
  const isDefault = scope.types.has(name);
  const type: ValueType = { kind: "tensor", dtype: data.dtype, shape: data.dims };
  if (isDefault) {
    // The caller may override it with other sizes than those of the default.
    return;
  }
  scope.types.set(name, type);
  const value = smallOf(data);
  if (value !== undefined) scope.values.set(name, value);
}

/** The graph with what is known about its values. Outputs keep the symbols that they declare. */
function filledGraph(graph: Graph, nodes: readonly Node[], { types }: Scope): Graph {
  const ends = new Set([...graph.inputs, ...graph.outputs].map(({ name }) => name));
  const valueInfo = new Map<string, Value>();
  for (const node of graph.nodes) {
    for (const name of node.outputs) {
      const type = types.get(name);
      const before = graph.valueInfo.get(name);
      if (name === "" || ends.has(name) || type === undefined) continue;
      valueInfo.set(name, sameTypes(before?.type, type) ? before! : Object.freeze({ ...before, name, type }));
    }
  }
  const outputs = graph.outputs.map((output) => {
    const type = withDeclaredSymbols(types.get(output.name), output.type);
    return type === undefined || sameTypes(output.type, type) ? output : Object.freeze({ ...output, type });
  });
  return makeGraph({ ...graph, nodes, outputs, valueInfo });
}

function sameTypes(a: ValueType | undefined, b: ValueType): boolean {
  return a !== undefined && formatType(a) === formatType(b);
}

function withDeclaredSymbols(
  type: ValueType | undefined,
  declared: ValueType | undefined,
): ValueType | undefined {
  if (type?.kind !== "tensor" || declared?.kind !== "tensor") return type;
  if (type.shape === undefined || declared.shape === undefined) return type;
  const shape = type.shape.map((dim, i): Dim => {
    const own = declared.shape![i] ?? null;
    return typeof own === "string" && typeof dim !== "number" ? own : dim;
  });
  return { kind: "tensor", dtype: type.dtype, shape };
}

/** Merges what is declared with what follows and makes it the value's type. */
function settle(
  name: string,
  declared: ValueType | undefined,
  inferred: ValueType | undefined,
  scope: Scope,
): void {
  if (name === "") return;
  let type: ValueType | undefined;
  try {
    type = mergeTypes(declared, inferred);
  } catch (error) {
    if (!(error instanceof TypeConflict)) throw error;
    const problem = `the declared type of "${name}" is not the one that follows`;
    if (scope.state.conflicts === "error" && !scope.tolerant) {
      throw defect(problem, {
        given: formatType(declared),
        expected: formatType(inferred),
        details: { value: name },
      });
    }
    scope.state.notes.push(`${problem}: ${formatType(declared)}, but ${formatType(inferred)}`);
    type = inferred;
  }
  if (type !== undefined) scope.types.set(name, canonical(type));
}

function canonical(type: ValueType): ValueType {
  if (type.kind !== "tensor" || type.shape === undefined) return type;
  const shape = type.shape.map(canonicalDim);
  if (type.encoded === undefined && shape.every((dim, i) => dim === type.shape![i])) return type;
  return { kind: "tensor", dtype: type.dtype, shape };
}

function typeOf(name: string, scope: Scope | undefined): ValueType | undefined {
  return scope === undefined ? undefined : (scope.types.get(name) ?? typeOf(name, scope.outer));
}

function smallValueOf(name: string, scope: Scope | undefined): Small | undefined {
  if (scope === undefined) return undefined;
  return scope.types.has(name) ? scope.values.get(name) : smallValueOf(name, scope.outer);
}

function inferNode(node: Node, scope: Scope): void {
  const inputs = node.inputs.map((name) => (name === "" ? undefined : typeOf(name, scope)));
  const fn = scope.state.model.functions.get(functionKey(node));
  if (fn !== undefined) {
    const outputs = callFunction(node, fn, inputs, scope);
    for (const [i, name] of node.outputs.entries()) settle(name, scope.declared(name), outputs[i], scope);
    return;
  }
  const opset = scope.opsets.get(node.domain) ?? 1;
  const row = opRow(node.domain, node.op, opset);
  const call = new Call({
    node,
    since: row?.since ?? 1,
    inputs,
    values: node.inputs.map((name) => (name === "" ? undefined : smallValueOf(name, scope))),
    references: scope.references,
    inferBody: bodyOf(scope),
  });
  const outputs = applyRule(call, scope);
  const names: readonly TypeName[] = row === undefined ? [] : checkTypes(node, row, inputs.map(typeName));
  for (const [i, name] of node.outputs.entries()) {
    settle(name, scope.declared(name), completed(outputs[i], names[i]), scope);
  }
  const first = node.outputs[0] ?? "";
  const type = scope.types.get(first);
  if (type?.kind !== "tensor") return;
  const value = firstValueOf(call, type.shape);
  if (value !== undefined) scope.values.set(first, value);
}

function applyRule(call: Call, scope: Scope): readonly (Output | undefined)[] {
  const rule = RULES[ruleNameOf(call.node.domain, call.node.op) ?? "unknown"];
  try {
    return rule(call);
  } catch (error) {
    if (!scope.tolerant || !(error instanceof TenonError)) throw error;
    scope.state.notes.push(`${describeNode(call.node)} in a branch could not run: ${error.message}`);
    return [];
  }
}

/** A rule's answer with the element type that the op table gives. */
function completed(output: Output | undefined, name: TypeName): ValueType | undefined {
  if (output?.type !== undefined) return output.type;
  const named = name === undefined ? undefined : typeOfName(name);
  if (named !== undefined && named.kind !== "tensor") return named;
  const dtype = output?.dtype ?? named?.dtype ?? null;
  const shape = output?.shape;
  if (shape !== undefined) return { kind: "tensor", dtype, shape: shape.map(sizeOnly) };
  return dtype === null ? undefined : { kind: "tensor", dtype };
}

/** What no size can be is unknown; the runtime says what is wrong with it. */
function sizeOnly(dim: Dim): Dim {
  return typeof dim === "number" && !(Number.isSafeInteger(dim) && dim >= 0) ? null : dim;
}

/** The type of a text of the op table: `f32`, `seq(f32)`, `optional(seq(f32))`. */
function typeOfName(name: string): ValueType | undefined {
  const nested = /^(seq|optional)\((.+)\)$/.exec(name);
  if (nested !== null) {
    return { kind: nested[1] === "seq" ? "sequence" : "optional", element: typeOfName(nested[2]!) ?? null };
  }
  const dtype = dtypeOfShort(name);
  return dtype === undefined ? undefined : { kind: "tensor", dtype };
}

function bodyOf(scope: Scope): InferBody {
  return (body, inputs, options = {}) => {
    const { state, opsets, references, depth } = scope;
    const tolerant = scope.tolerant || options.tolerant === true;
    const inner = inferGraph(body, inputs, { state, outer: scope, opsets, references, depth, tolerant });
    return body.outputs.map(({ name }) => typeOf(name, inner));
  };
}

/** The body of a function with the types and attributes of one call. */
function callFunction(
  node: Node,
  fn: FunctionDef,
  inputs: readonly (ValueType | undefined)[],
  scope: Scope,
): readonly (ValueType | undefined)[] {
  const { state } = scope;
  state.calledNodes += fn.nodes.length;
  if (state.calledNodes > MOST_CALLED_NODES || scope.depth >= DEEPEST_CALL) return [];
  const references = new Map(fn.attributeDefaults);
  for (const [name, attr] of node.attrs) {
    const own = attr.kind === "reference" ? scope.references?.get(attr.to) : attr;
    if (own !== undefined) references.set(name, own);
  }
  const inner: Scope = {
    state,
    outer: undefined,
    opsets: fn.opsets,
    types: new Map(),
    values: new Map(),
    references,
    depth: scope.depth + 1,
    // Types declared in a body are meant for any call.
    declared: () => undefined,
    tolerant: scope.tolerant,
  };
  fn.inputs.forEach((name, i) => {
    const type = inputs[i];
    if (type !== undefined) inner.types.set(name, type);
    const value = smallValueOf(node.inputs[i] ?? "", scope);
    if (value !== undefined && type !== undefined) inner.values.set(name, value);
  });
  for (const each of fn.nodes) inferNode(each, inner);
  return fn.outputs.map((name) => inner.types.get(name));
}
