/** Nodes that move between graphs of different opsets: allowed where both opsets mean the same by each op. */
import { TenonError } from "../base/index.js";
import { describeNode } from "./defect.js";
import { functionKey, type Model, type Node, subgraphsOf } from "./graph.js";
import { opRow } from "./spec.js";

/**
 * Imports of a model that takes over `nodes` written for `opsets`: domains that it lacks are added. Throws
 * MODEL_UNSUPPORTED for an op that the two versions of a domain define differently.
 */
export function joinOpsets(
  model: Pick<Model, "opsets" | "functions">,
  nodes: readonly Node[],
  opsets: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  const joined = new Map(model.opsets);
  const visit = (node: Node): void => {
    for (const graph of subgraphsOf(node)) graph.nodes.forEach(visit);
    if (model.functions.has(functionKey(node))) return;
    const theirs = opsets.get(node.domain) ?? 1;
    const ours = joined.get(node.domain);
    if (ours === undefined) joined.set(node.domain, theirs);
    else if (ours !== theirs && opRow(node.domain, node.op, ours) !== opRow(node.domain, node.op, theirs)) {
      throw new TenonError("MODEL_UNSUPPORTED", {
        problem: `the op ${node.op} means something else in the opset of the other graph`,
        given: `${describeNode(node)} of opset ${theirs}`,
        expected: `opset ${ours}`,
        do: "upgrade both to one opset first",
      });
    }
  };
  nodes.forEach(visit);
  return joined;
}
