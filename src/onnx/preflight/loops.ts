/** Loops: how many turns constants ask for, and whether a condition can end them. */
import type { Attr, Graph, Node } from "../graph.js";
import type { Facts } from "./facts.js";
import type { Report } from "./finding.js";
import { LIMITS } from "./limits.js";

/**
 * Reports a Loop that does not end or whose turns only a run can tell. Returns the turns that are certain, for the
 * loops inside to be multiplied with: 1 when they are not known.
 */
export function checkLoop(
  node: Node,
  facts: Facts,
  turnsAround: number,
  report: Report,
  where: (node: Node) => string,
): number {
  const body = node.attrs.get("body");
  if (body?.kind !== "graph") return 1;
  const [trip = "", start = ""] = node.inputs;
  const count = trip === "" ? Number.POSITIVE_INFINITY : (constantOf(trip, facts) ?? null);
  if (start !== "" && constantOf(start, facts) === 0) return 0;
  const condition = conditionOf(body.value, facts);
  if (condition === "ends") return 1;
  if (condition === "changes") {
    if (count === null || count > LIMITS.loopTurns) {
      report.add("LOOP_INPUT_BOUND", where(node), "the condition is computed in every turn");
    }
    return 1;
  }
  if (count === null) {
    report.add("LOOP_INPUT_BOUND", where(node), `the trip count "${trip}" is computed`);
    return 1;
  }
  const turns = count * turnsAround;
  if (turns > LIMITS.loopTurns) {
    const given =
      count === Number.POSITIVE_INFINITY
        ? "no trip count, and a condition that never changes"
        : `${turns} turns${turnsAround > 1 ? " with the loops around it" : ""}`;
    report.add("LOOP_UNBOUNDED", where(node), given, `at most ${LIMITS.loopTurns} turns`);
  }
  return Math.max(0, count);
}

function constantOf(name: string, facts: Facts): number | undefined {
  return facts.isInput(name) ? undefined : (facts.of(name)?.values?.[0] ?? undefined);
}

/** What becomes of the condition in a turn: it stays as it is, a constant ends the loop, or it is computed. */
function conditionOf(body: Graph, outer: Facts): "stays" | "ends" | "changes" {
  const given = body.inputs[1]?.name;
  let name = body.outputs[0]?.name;
  const producers = new Map<string, Node>();
  for (const node of body.nodes) for (const output of node.outputs) producers.set(output, node);
  const seen = new Set<string>();
  while (name !== undefined && !seen.has(name)) {
    seen.add(name);
    if (name === given) return "stays";
    const node = producers.get(name);
    if (node === undefined) {
      const own = body.initializers.get(name);
      if (own === undefined) return outer.of(name)?.values?.[0] === 0 ? "ends" : "stays";
      return own.payload.in === "raw" && own.payload.bytes instanceof Uint8Array && own.payload.bytes[0] === 0
        ? "ends"
        : "stays";
    }
    if (node.op === "Constant") return isFalse(node.attrs.get("value")) ? "ends" : "stays";
    if (node.op !== "Identity" && node.op !== "Cast") return "changes";
    name = node.inputs[0];
  }
  return "stays";
}

function isFalse(attr: Attr | undefined): boolean {
  if (attr?.kind !== "tensor" || attr.value.payload.in !== "raw") return false;
  const { bytes } = attr.value.payload;
  return bytes instanceof Uint8Array && bytes[0] === 0;
}
