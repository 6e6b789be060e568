/** Ranges of integer attributes, also of those that a function hands on from its call to a node of its body. */
import { type Attr, type FunctionDef, functionKey, type Model, type Node } from "../graph.js";
import type { Report } from "./finding.js";
import { INT32_MAX, INT32_MIN } from "./limits.js";

/** A demand on the value of an integer attribute. */
export type Demand = "ATTRIBUTE_RANGE" | "ATTRIBUTE_POSITIVE";

const LEAST: Readonly<Record<Demand, number>> = { ATTRIBUTE_RANGE: INT32_MIN, ATTRIBUTE_POSITIVE: 1 };

const POSITIVE: ReadonlySet<string> = new Set([
  "strides",
  "dilations",
  "kernel_shape",
  "blocksize",
  "group",
  "q_num_heads",
  "kv_num_heads",
]);

/** Attributes whose 64 bits are meant: values and labels, and slice ends that say "to the end". */
function isWide(node: Node, name: string): boolean {
  if (node.domain === "ai.onnx.ml") return true;
  if (node.domain !== "") return false;
  if (node.op === "Constant") return name === "value_int" || name === "value_ints";
  return node.op === "Slice" && (name === "starts" || name === "ends");
}

function demandOf(node: Node, name: string): Demand | undefined {
  if (POSITIVE.has(name) && node.domain !== "ai.onnx.ml") return "ATTRIBUTE_POSITIVE";
  return isWide(node, name) ? undefined : "ATTRIBUTE_RANGE";
}

/** What each function demands of the attributes of its calls, by function key. */
export type Demands = ReadonlyMap<string, ReadonlyMap<string, Demand>>;

/** Demands of all functions; `order` lists callees before their callers. */
export function demandsOf(
  model: Model,
  order: readonly string[],
  nodesOf: (fn: FunctionDef) => Iterable<Node>,
): Demands {
  const demands = new Map<string, ReadonlyMap<string, Demand>>();
  for (const key of order) {
    const own = new Map<string, Demand>();
    for (const node of nodesOf(model.functions.get(key)!)) {
      const callee = demands.get(functionKey(node));
      for (const [name, attr] of node.attrs) {
        if (attr.kind !== "reference") continue;
        const demand = callee === undefined ? demandOf(node, name) : callee.get(name);
        if (demand !== undefined && own.get(attr.to) !== "ATTRIBUTE_POSITIVE") own.set(attr.to, demand);
      }
    }
    demands.set(key, own);
  }
  return demands;
}

/** Reports the attributes of a node, or of a call of the function whose demands are given. */
export function checkAttributes(
  node: Node,
  demands: ReadonlyMap<string, Demand> | undefined,
  report: Report,
  where: (node: Node) => string,
): void {
  for (const [name, attr] of node.attrs) {
    if (attr.kind !== "int" && attr.kind !== "ints") continue;
    const demand = demands === undefined ? demandOf(node, name) : demands.get(name);
    if (demand !== undefined) checkInteger(name, attr, demand, report, () => where(node));
  }
}

/** Reports the defaults of a function's attributes. */
export function checkDefaults(
  fn: FunctionDef,
  demands: ReadonlyMap<string, Demand> | undefined,
  report: Report,
): void {
  for (const [name, attr] of fn.attributeDefaults) {
    const demand = demands?.get(name);
    if (demand !== undefined) checkInteger(name, attr, demand, report, () => `function ${fn.name}`);
  }
}

function checkInteger(name: string, attr: Attr, demand: Demand, report: Report, where: () => string): void {
  if (attr.kind !== "int" && attr.kind !== "ints") return;
  for (const value of attr.kind === "int" ? [attr.value] : attr.value) {
    if (value >= LEAST[demand] && value <= INT32_MAX) continue;
    const code = value > INT32_MAX || value < INT32_MIN ? "ATTRIBUTE_RANGE" : demand;
    report.add(
      code,
      where(),
      `${name} ${value}`,
      code === "ATTRIBUTE_POSITIVE" ? "1 or more" : "-2^31 to 2^31 - 1",
    );
    return;
  }
}
