/** What the op table demands of one node: arity, required inputs, attributes, and the shape of its subgraphs. */
import { suggest } from "../base/index.js";
import { nodeDefect } from "./defect.js";
import type { Attr, Graph, Node } from "./graph.js";
import { arityOf, type Formal, isListed, type OpRow } from "./spec.js";

/** Throws MODEL_INVALID when a node breaks its op's row. */
export function checkNodeAgainstRow(node: Node, row: OpRow): void {
  checkValues(node, node.inputs, row.inputs, "input");
  checkValues(node, node.outputs, row.outputs, "output");
  for (const [name, { required }] of row.attrs) {
    if (required && !node.attrs.has(name)) throw nodeDefect(node, `lacks the attribute "${name}"`);
  }
  for (const [name, attr] of node.attrs) {
    const spec = row.attrs.get(name);
    if (spec === undefined) {
      // Domains without a complete table may know attributes that their rows do not list.
      if (!isListed(node.domain)) continue;
      throw nodeDefect(node, `has an attribute that ${row.op} of opset ${row.since} does not have`, {
        given: `"${name}"`,
        expected: suggest(name, [...row.attrs.keys()]),
      });
    }
    const kind = attr.kind === "reference" ? attr.of : attr.kind;
    if (kind !== spec.kind) {
      throw nodeDefect(node, `has the attribute "${name}" of another kind`, {
        given: kind,
        expected: spec.kind,
      });
    }
  }
}

function checkValues(
  node: Node,
  values: readonly string[],
  formals: readonly Formal[],
  what: "input" | "output",
): void {
  const { least, most } = arityOf(formals);
  let length = values.length;
  while (length > 0 && values[length - 1] === "") length--;
  if (length < least || length > most) {
    throw nodeDefect(node, `has ${length} ${what}${length === 1 ? "" : "s"}`, {
      expected:
        most === least
          ? String(least)
          : most === Number.POSITIVE_INFINITY
            ? `at least ${least}`
            : `${least} to ${most}`,
    });
  }
  if (what === "output") return;
  formals.forEach((formal, i) => {
    if (formal.option === "required" && values[i] === "") {
      throw nodeDefect(node, `lacks the input "${formal.name}", which is not optional`);
    }
  });
}

/** Throws MODEL_INVALID when the bodies of If, Loop or Scan do not fit the node's inputs and outputs. */
export function checkSubgraphArity(node: Node, since: number): void {
  if (node.domain !== "") return;
  if (node.op === "If") checkIf(node);
  else if (node.op === "Loop") checkLoop(node);
  else if (node.op === "Scan") checkScan(node, since);
}

function checkIf(node: Node): void {
  for (const name of ["then_branch", "else_branch"]) {
    const branch = graphAttr(node, name);
    if (branch === undefined) continue;
    if (branch.inputs.length !== 0) throw nodeDefect(node, `has a ${name} with inputs`);
    expectCount(node, `outputs of ${name}`, branch.outputs.length, node.outputs.length);
  }
}

function checkLoop(node: Node): void {
  const body = graphAttr(node, "body");
  if (body === undefined) return;
  const carried = Math.max(0, node.inputs.length - 2);
  expectCount(node, "inputs of body", body.inputs.length, carried + 2);
  expectCount(node, "outputs of body", body.outputs.length, node.outputs.length + 1);
  if (node.outputs.length < carried) {
    throw nodeDefect(node, "has fewer outputs than loop-carried values", { expected: `at least ${carried}` });
  }
}

function checkScan(node: Node, since: number): void {
  const body = graphAttr(node, "body");
  if (body === undefined) return;
  // Scan 8 had the sequence lengths as its first input.
  const inputs = node.inputs.length - (since < 9 ? 1 : 0);
  expectCount(node, "inputs of body", body.inputs.length, inputs);
  expectCount(node, "outputs of body", body.outputs.length, node.outputs.length);
  const scanned = node.attrs.get("num_scan_inputs");
  if (scanned?.kind === "int" && (scanned.value < 1 || scanned.value > inputs)) {
    throw nodeDefect(node, "scans more inputs than it has", {
      given: String(scanned.value),
      expected: `1 to ${inputs}`,
    });
  }
}

function graphAttr(node: Node, name: string): Graph | undefined {
  const attr: Attr | undefined = node.attrs.get(name);
  return attr?.kind === "graph" ? attr.value : undefined;
}

function expectCount(node: Node, what: string, given: number, expected: number): void {
  if (given !== expected) {
    throw nodeDefect(node, `does not fit its subgraph: ${what}`, {
      given: String(given),
      expected: String(expected),
    });
  }
}
