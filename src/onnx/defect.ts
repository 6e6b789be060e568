/** The errors that `check` throws: a defect of a model, or of one node of it. */
import { type ErrorParts, TenonError } from "../base/index.js";
import type { Node } from "./graph.js";

type Parts = Omit<ErrorParts, "problem">;

/** A defect of a model. */
export function defect(problem: string, parts: Parts = {}): TenonError {
  return new TenonError("MODEL_INVALID", { problem, ...parts });
}

/** Names in a file may be long; a message is to stay readable. */
const LONGEST = 200;

/** `Conv "conv1" → y`. */
export function describeNode(node: Node): string {
  const op = node.domain === "" ? node.op : `${node.domain}:${node.op}`;
  const text = `${op}${node.name === "" ? "" : ` "${node.name}"`} → ${node.outputs.join(", ")}`;
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

/** A defect of a node: `<node> <what it does wrong>`. */
export function nodeDefect(node: Node, problem: string, parts: Parts = {}): TenonError {
  return defect(`${describeNode(node)} ${problem}`, {
    ...parts,
    details: { op: node.op, domain: node.domain, node: node.name, ...parts.details },
  });
}
