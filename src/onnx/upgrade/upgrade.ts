/** upgrade(model, opset): the same model for a newer opset of the default domain. */
import { TenonError } from "../../base/index.js";
import { check } from "../check.js";
import {
  type FunctionDef,
  type Graph,
  type Model,
  makeGraph,
  mapGraphs,
  type Node,
  type TensorType,
  type ValueType,
} from "../graph.js";
import { inferredGraphs } from "../infer/infer.js";
import { allNamesOf, usesOf } from "../uses.js";
import { UPGRADE_ROWS } from "./rows.js";
import { UpgradeTools } from "./tools.js";

const OLDEST = 7;
const LEAST_TARGET = 20;
/** The newest opset that ONNX Runtime 1.30 takes. */
const NEWEST = 26;

/** Lowest IR version of models that import the opset. */
const IR_OF_OPSET: ReadonlyMap<number, number> = new Map([
  [20, 9],
  [21, 10],
  [22, 10],
  [23, 11],
  [24, 12],
  [25, 13],
  [26, 13],
]);

/**
 * A model that computes the same and imports opset `target` (20 to 26) of the default domain; one that imports that or
 * a newer one comes back as it is. Attributes that became inputs are Constant nodes; `foldConstants` makes them
 * constants of the graph. Local functions are upgraded too. Throws MODEL_UNSUPPORTED below opset 7 and for nodes
 * that newer opsets cannot say, and USAGE for another target.
 */
export function upgrade(model: Model, target: number): Model {
  if (!Number.isInteger(target) || target < LEAST_TARGET || target > NEWEST) {
    throw new TenonError("USAGE", {
      problem: "the opset to upgrade to",
      given: String(target),
      expected: `an integer from ${LEAST_TARGET} to ${NEWEST}`,
    });
  }
  const from = model.opsets.get("");
  const functions = new Map(
    [...model.functions].map(([key, fn]) => [key, upgradeFunction(fn, target)] as const),
  );
  const isNew = (from ?? target) >= target;
  if (isNew && [...functions].every(([key, fn]) => fn === model.functions.get(key))) return model;
  const upgraded: Model = Object.freeze({
    ...model,
    functions,
    ...(isNew
      ? {}
      : {
          graph: upgradeMain(model, from!, target),
          opsets: new Map([...model.opsets, ["", target] as const]),
        }),
    irVersion: Math.max(Number(model.irVersion), IR_OF_OPSET.get(target)!),
  });
  check(upgraded, { after: `upgrade to opset ${target}` });
  return upgraded;
}

/** One graph or body on its way up. */
interface Place {
  readonly from: number;
  readonly target: number;
  readonly fresh: (base: string) => string;
  readonly typeOf: (name: string) => TensorType | undefined;
  readonly used: ReadonlySet<string>;
  /** Graphs with inferred types, by the graph that was given. */
  readonly filled: () => ReadonlyMap<Graph, Graph>;
}

function upgradeMain(model: Model, from: number, target: number): Graph {
  refuseOld(from);
  let filled: ReadonlyMap<Graph, Graph> | undefined;
  return upgradeGraph(model.graph, {
    from,
    target,
    fresh: freshNames(allNamesOf(model.graph)),
    typeOf: () => undefined,
    used: new Set(),
    filled: () => {
      filled ??= inferredGraphs(model);
      return filled;
    },
  });
}

function refuseOld(from: number): void {
  if (from >= OLDEST) return;
  throw new TenonError("MODEL_UNSUPPORTED", {
    problem: "the model is for an opset that is too old to be upgraded",
    given: String(from),
    expected: `opset ${OLDEST} or newer`,
    do: "export the model again with a newer opset",
  });
}

function freshNames(taken: Set<string>): (base: string) => string {
  let count = 0;
  return (base) => {
    let name: string;
    do name = `${base}_up${count++}`;
    while (taken.has(name));
    taken.add(name);
    return name;
  };
}

function upgradeGraph(graph: Graph, outer: Place): Graph {
  let types: ReadonlyMap<string, ValueType> | undefined;
  const typeOf = (name: string): TensorType | undefined => {
    types ??= typesOf(outer.filled().get(graph) ?? graph);
    const type = types.get(name);
    return type === undefined ? outer.typeOf(name) : type.kind === "tensor" ? type : undefined;
  };
  const used = usedIn(
    graph.nodes,
    graph.outputs.map(({ name }) => name),
  );
  const nodes = upgradeNodes(graph.nodes, { ...outer, typeOf, used });
  return makeGraph({ ...graph, nodes });
}

function typesOf(graph: Graph): ReadonlyMap<string, ValueType> {
  const types = new Map<string, ValueType>();
  for (const { name, type } of [...graph.inputs, ...graph.outputs, ...graph.valueInfo.values()]) {
    if (type !== undefined) types.set(name, type);
  }
  for (const [name, { dtype, dims }] of graph.initializers)
    types.set(name, { kind: "tensor", dtype, shape: dims });
  return types;
}

function usedIn(nodes: readonly Node[], outputs: readonly string[]): ReadonlySet<string> {
  const used = new Set(outputs);
  for (const node of nodes) for (const name of usesOf(node)) used.add(name);
  return used;
}

function upgradeFunction(fn: FunctionDef, target: number): FunctionDef {
  const from = fn.opsets.get("");
  if (from === undefined || from >= target) return fn;
  refuseOld(from);
  const names = new Set([...fn.inputs, ...fn.nodes.flatMap((node) => [...node.inputs, ...node.outputs])]);
  const nodes = upgradeNodes(fn.nodes, {
    from,
    target,
    fresh: freshNames(names),
    typeOf: () => undefined,
    used: usedIn(fn.nodes, fn.outputs),
    filled: () => new Map(),
  });
  return Object.freeze({ ...fn, nodes, opsets: new Map([...fn.opsets, ["", target] as const]) });
}

function upgradeNodes(nodes: readonly Node[], place: Place): Node[] {
  return nodes.flatMap((node) => {
    const attrs = mapGraphs(node.attrs, (inner) => upgradeGraph(inner, place));
    const own = attrs === node.attrs ? node : Object.freeze({ ...node, attrs });
    return own.domain === "" ? upgradeNode(own, place) : [own];
  });
}

/** Row by row; what a row makes of a node goes through the later rows too. */
function upgradeNode(node: Node, place: Place): Node[] {
  let current: readonly Node[] = [node];
  for (const [to, rows] of UPGRADE_ROWS) {
    if (to <= place.from || to > place.target) continue;
    current = current.flatMap((each) => {
      const rewrite = rows.get(each.op);
      // Nodes that earlier rows put before this one are written for the target already.
      if (rewrite === undefined || made.has(each)) return [each];
      if (each.attrs.size > 0) refuseReferences(each);
      const tools = new UpgradeTools({
        opset: place.target,
        fresh: place.fresh,
        typeOf: place.typeOf,
        isUsed: (name) => place.used.has(name),
      });
      const result = [rewrite(each, tools)].flat().map((next) => Object.freeze(next));
      for (const added of tools.before) made.add(added);
      return [...tools.before, ...result];
    });
  }
  return [...current];
}

/** Nodes that rows added. */
const made = new WeakSet<Node>();

/** A reference to an attribute of the call has no value that could become an input. */
function refuseReferences(node: Node): void {
  for (const [name, attr] of node.attrs) {
    if (attr.kind !== "reference") continue;
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: `a function's node ${node.op} takes its attribute "${name}" from the call, which newer opsets may not allow`,
      do: "inline the functions first",
    });
  }
}
