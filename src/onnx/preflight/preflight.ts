/** preflight(model): what is wrong or dangerous about a model, found before any native code sees it. */
import { isTenonError } from "../../base/index.js";
import { check } from "../check.js";
import { type FunctionDef, functionKey, type Graph, type Model, type Node, subgraphsOf } from "../graph.js";
import { weightsIn } from "../weight-files.js";
import { checkDefaults, demandsOf } from "./attributes.js";
import { Facts, factOf } from "./facts.js";
import { bySeverity, type Finding, Report, type Trust } from "./finding.js";
import { bodyOf, callOrder, checkBody, checkExpansion, nestedNodes } from "./functions.js";
import { LIMITS } from "./limits.js";
import { checkLoop } from "./loops.js";
import { describe, NODE_RULES, type Place, Rows } from "./rules.js";
import { RequestValues } from "./steering.js";

export interface PreflightOptions {
  /** How far the model's author is trusted; default `pinned`. */
  readonly trust?: Trust;
}

/**
 * Everything that is known to crash or stall ONNX Runtime, to break the specification, or to need attention, errors
 * first. A model with an `error` must not be loaded. `pinned` models are refused for what ends the process or can
 * never load; `untrusted` ones also for what is costly or not allowed. Linear in the size of the model: 100,000 nodes
 * take less than 200 ms. Weights are not read.
 *
 * ```ts
 * const findings = preflight(await readModel("model.onnx"), { trust: "untrusted" });
 * ```
 */
export function preflight(model: Model, options: PreflightOptions = {}): Finding[] {
  const report = new Report(options.trust ?? "pinned");
  checkVersions(model, report);
  checkInputs(model, report);
  checkCounts(model, report);
  checkExternal(model, report);
  const order = callOrder(model, report);
  if (order !== undefined) {
    if (model.functions.size > 0) checkExpansion(model, order, report);
    walkModel(model, order, report);
  }
  // The whole specification last: it stops at the first defect, and the rules above word theirs better.
  if (!report.refused) checkSpecification(model, report);
  return bySeverity(report.findings);
}

function checkVersions(model: Model, report: Report): void {
  for (const opsets of [model.opsets, ...[...model.functions.values()].map((fn) => fn.opsets)]) {
    const opset = opsets.get("") ?? 1;
    if (opset <= LIMITS.opset) continue;
    report.add("OPSET", "model", opset, `at most ${LIMITS.opset}`);
    break;
  }
  if (model.irVersion > LIMITS.irVersion) {
    report.add("IR_VERSION", "model", String(model.irVersion), `at most ${LIMITS.irVersion}`);
  }
}

function checkInputs({ graph }: Model, report: Report): void {
  for (const { name, type } of graph.inputs) {
    if (graph.initializers.has(name) || (type !== undefined && type.kind !== "tensor")) continue;
    if (type?.shape === undefined) report.add("RANK_UNDECLARED", `input "${name}"`);
    else if (type.shape.length > LIMITS.rank) {
      report.add("RANK", `input "${name}"`, `${type.shape.length} dimensions`, `at most ${LIMITS.rank}`);
    }
  }
}

function checkCounts(model: Model, report: Report): void {
  let nodes = 0;
  let initializers = 0;
  const count = (list: readonly Node[]): void => {
    nodes += list.length;
    for (const node of list) {
      if (node.attrs.size === 0) continue;
      for (const graph of subgraphsOf(node)) {
        initializers += graph.initializers.size;
        count(graph.nodes);
      }
    }
  };
  count(model.graph.nodes);
  for (const fn of model.functions.values()) count(fn.nodes);
  initializers += model.graph.initializers.size;
  if (nodes > LIMITS.nodes) report.add("NODES", "model", `${nodes} nodes`, `at most ${LIMITS.nodes}`);
  if (initializers > LIMITS.initializers) {
    report.add("INITIALIZERS", "model", `${initializers} weights`, `at most ${LIMITS.initializers}`);
  }
  for (const name of model.graph.initializers.keys()) {
    if (name.length <= LIMITS.nameLength) continue;
    report.add("NAME_LENGTH", `weight "${name}"`, "", `at most ${LIMITS.nameLength} characters`);
  }
}

function checkExternal(model: Model, report: Report): void {
  for (const { name, payload } of weightsIn(model)) {
    if (payload.in !== "external" || payload.range !== undefined) continue;
    report.add("EXTERNAL_UNRESOLVED", `weight "${name}"`, payload.entries.get("location") ?? "");
  }
}

function walkModel(model: Model, order: readonly string[], report: Report): void {
  const demands = demandsOf(model, order, (fn) => nestedNodes(fn.nodes));
  const start = { model, report, demands, depth: 0, turns: 1 };
  for (const [key, fn] of model.functions) {
    checkBody(fn, report);
    checkDefaults(fn, demands.get(key), report);
    const body = bodyOf(fn);
    const [facts, asked] = [new Facts(body), new RequestValues(body)];
    walk(fn.nodes, { ...start, inside: fn, rows: new Rows(fn.opsets), facts, asked });
  }
  walk(model.graph.nodes, {
    ...start,
    inside: undefined,
    rows: new Rows(model.opsets),
    facts: new Facts(model.graph),
    asked: new RequestValues(model.graph),
  });
}

const RULES = Object.values(NODE_RULES);

function walk(nodes: readonly Node[], place: Place): void {
  const { model, facts, rows } = place;
  const opset = rows.opsets.get("") ?? 1;
  const hasFunctions = model.functions.size > 0;
  for (const node of nodes) {
    const callee: FunctionDef | undefined = hasFunctions ? model.functions.get(functionKey(node)) : undefined;
    const fact = callee === undefined ? factOf(node, facts, opset) : undefined;
    const seen = { row: callee === undefined ? rows.of(node) : undefined, callee, opset, fact };
    for (const rule of RULES) rule(node, seen, place);
    const [output] = node.outputs;
    if (fact !== undefined && output) facts.set(output, fact);
    place.asked.follow(node, place.report, describe);
    walkSubgraphs(node, place);
  }
}

function walkSubgraphs(node: Node, place: Place): void {
  if (node.attrs.size === 0) return;
  const graphs = subgraphsOf(node);
  if (graphs.length === 0) return;
  const depth = place.depth + 1;
  if (depth > LIMITS.subgraphDepth) {
    place.report.add("SUBGRAPH_DEPTH", describe(node), `${depth} levels`, `at most ${LIMITS.subgraphDepth}`);
    return;
  }
  const isLoop = node.op === "Loop" && node.domain === "";
  const turns =
    place.turns * (isLoop ? checkLoop(node, place.facts, place.turns, place.report, describe) : 1);
  for (const graph of graphs) walkGraph(graph, { ...place, depth, turns });
}

function walkGraph(graph: Graph, place: Place): void {
  const asked = new RequestValues(graph, place.asked);
  walk(graph.nodes, { ...place, facts: new Facts(graph, place.facts), asked });
}

function checkSpecification(model: Model, report: Report): void {
  try {
    check(model);
  } catch (error) {
    if (!isTenonError(error)) throw error;
    const code = error.code === "MODEL_UNSUPPORTED" ? "UNKNOWN_OP" : "SPECIFICATION";
    report.add(code, error.problem, error.given ?? "", error.expected ?? "");
  }
}
