/** The rules for one node: a total table, walked for every node of a model; each row reports what it finds. */
import { formatBytes } from "../../base/index.js";
import { describeNode } from "../defect.js";
import { type FunctionDef, functionKey, type Model, type Node } from "../graph.js";
import { arityOf, type OpRow, opRow } from "../spec.js";
import { checkAttributes, type Demands } from "./attributes.js";
import { type Fact, type Facts, intsLength, leastBytes } from "./facts.js";
import type { Report } from "./finding.js";
import { DOMAINS, LIMITS } from "./limits.js";
import type { RequestValues } from "./steering.js";

/** Where a node stands. */
export interface Place {
  readonly model: Model;
  readonly report: Report;
  readonly demands: Demands;
  readonly rows: Rows;
  readonly facts: Facts;
  readonly asked: RequestValues;
  /** The function whose body this is. */
  readonly inside: FunctionDef | undefined;
  /** Graphs around this one. */
  readonly depth: number;
  /** Turns of the loops around, as far as they are constant. */
  readonly turns: number;
}

/** What is found out about a node once, for all rules. */
interface Seen {
  readonly row: OpRow | undefined;
  readonly callee: FunctionDef | undefined;
  readonly opset: number;
  /** Of the first output. */
  readonly fact: Fact | undefined;
}

type NodeRule = (node: Node, seen: Seen, place: Place) => void;

type RuleName =
  | "names"
  | "domain"
  | "inputArity"
  | "outputArity"
  | "trailingEmpty"
  | "attributes"
  | "resize"
  | "emptyDim"
  | "rank"
  | "outputSize";

export const NODE_RULES: { readonly [R in RuleName]: NodeRule } = {
  names(node, _, { report }) {
    const long = (name: string): boolean => name.length > LIMITS.nameLength;
    if (long(node.name) || long(node.op) || node.inputs.some(long) || node.outputs.some(long)) {
      report.add("NAME_LENGTH", describe(node), "", `at most ${LIMITS.nameLength} characters`);
    }
  },

  domain(node, { callee }, { report }) {
    if (node.op === "EPContext") report.add("EP_CONTEXT", describe(node));
    else if (callee === undefined && !DOMAINS.has(node.domain)) {
      report.add("DOMAIN", describe(node), node.domain, "ai.onnx, ai.onnx.ml or com.microsoft");
    }
  },

  inputArity(node, { row, callee }, { report }) {
    const length = lengthOf(node.inputs);
    if (callee !== undefined) {
      if (length > callee.inputs.length) arity(node, length, "inputs", callee.inputs.length, report);
      return;
    }
    if (row === undefined) return;
    const { least, most } = aritiesOf(row).inputs;
    if (length < least || length > most) {
      arity(node, length, "inputs", least === most ? least : `${least} to ${most}`, report);
      return;
    }
    for (let i = 0; i < length; i++) {
      if (node.inputs[i] !== "") continue;
      const formal = row.inputs[Math.min(i, row.inputs.length - 1)]!;
      if (formal.option === "required") report.add("EMPTY_INPUT", describe(node), formal.name);
    }
  },

  outputArity(node, { row, callee }, { report }) {
    const length = lengthOf(node.outputs);
    if (callee !== undefined) {
      if (length > callee.outputs.length) arity(node, length, "outputs", callee.outputs.length, report);
      return;
    }
    if (row === undefined) return;
    const { least, most } = aritiesOf(row).outputs;
    if (length >= least && length <= most) return;
    arity(node, length, "outputs", least === most ? least : `${least} to ${most}`, report);
  },

  trailingEmpty(node, _, { report }) {
    if (node.inputs.at(-1) !== "" && node.outputs.at(-1) !== "") return;
    report.add("TRAILING_EMPTY", describe(node));
  },

  attributes(node, { callee }, { report, demands }) {
    if (node.attrs.size === 0) return;
    checkAttributes(
      node,
      callee === undefined ? undefined : demands.get(functionKey(node)),
      report,
      describe,
    );
  },

  resize(node, { opset }, { report, facts }) {
    if (node.domain !== "" || (node.op !== "Resize" && node.op !== "Upsample")) return;
    const rank = facts.of(node.inputs[0] ?? "")?.dims?.length;
    const expected = intsLength(node, "axes") ?? rank;
    if (expected === undefined) return;
    const check = (index: number, what: string, each = 1): void => {
      const fact = facts.of(node.inputs[index] ?? "");
      const given = fact?.values?.length ?? fact?.dims?.[0];
      if (given == null || given === 0 || given === expected * each) return;
      report.add("RESIZE_LENGTH", describe(node), `${given} ${what}`, String(expected * each));
    };
    if (opset < 11) return check(1, "scales");
    const mode = node.attrs.get("coordinate_transformation_mode");
    if (mode?.kind === "string" && mode.value === "tf_crop_and_resize") check(1, "values of roi", 2);
    check(2, "scales");
    check(3, "sizes");
  },

  emptyDim(node, _, { report, facts }) {
    if (!NEED_ELEMENTS.has(node.op)) return;
    const empty = node.inputs.find((name) => facts.of(name)?.dims?.includes(0));
    if (empty !== undefined) report.add("EMPTY_DIM", describe(node), `"${empty}" has a dimension of size 0`);
  },

  rank(node, _, { report, facts }) {
    if (node.domain !== "" || !Object.hasOwn(SHAPE_INPUTS, node.op)) return;
    const length = facts.of(node.inputs[SHAPE_INPUTS[node.op]!] ?? "")?.dims?.[0];
    if (length == null || length <= LIMITS.rank) return;
    report.add("RANK", describe(node), `${length} dimensions`, `at most ${LIMITS.rank}`);
  },

  outputSize(node, { fact }, { report, facts }) {
    const bytes = leastBytes(fact);
    if (!(bytes > LIMITS.outputBytes)) return;
    // What comes in large may go out large; here it is the node that makes it so.
    let given = 0;
    for (const name of new Set(node.inputs)) given += leastBytes(facts.of(name));
    if (bytes <= given) return;
    const size = bytes < Number.MAX_SAFE_INTEGER ? formatBytes(bytes) : `${bytes} B`;
    report.add("OUTPUT_SIZE", describe(node), size, `at most ${formatBytes(LIMITS.outputBytes)}`);
  },
};

/** Ops whose kernels crash or hang on dimensions of size 0. */
const NEED_ELEMENTS: ReadonlySet<string> = new Set([
  "LSTM",
  "GRU",
  "RNN",
  "Unique",
  "DFT",
  "STFT",
  "FusedConv",
]);

/** Ops that take a dimension for each element of this input. */
const SHAPE_INPUTS: Readonly<Record<string, number>> = {
  ConstantOfShape: 0,
  Expand: 1,
  Reshape: 1,
  Tile: 1,
  AffineGrid: 1,
  CenterCropPad: 1,
  Col2Im: 1,
};

function arity(
  node: Node,
  given: number,
  what: "inputs" | "outputs",
  limit: number | string,
  report: Report,
): void {
  report.add("ARITY", describe(node), `${given} ${what}`, String(limit));
}

/** Length without the absent values at the end. */
function lengthOf(names: readonly string[]): number {
  let length = names.length;
  while (length > 0 && names[length - 1] === "") length--;
  return length;
}

export const describe = describeNode;

interface Arities {
  readonly inputs: ReturnType<typeof arityOf>;
  readonly outputs: ReturnType<typeof arityOf>;
}

const arities = new WeakMap<OpRow, Arities>();

function aritiesOf(row: OpRow): Arities {
  let found = arities.get(row);
  if (found === undefined) {
    found = { inputs: arityOf(row.inputs), outputs: arityOf(row.outputs) };
    arities.set(row, found);
  }
  return found;
}

/** The specification's rows under one set of imported opsets. */
export class Rows {
  readonly opsets: ReadonlyMap<string, number>;
  readonly #known = new Map<string, Map<string, OpRow | undefined>>();

  constructor(opsets: ReadonlyMap<string, number>) {
    this.opsets = opsets;
  }

  of({ domain, op }: Node): OpRow | undefined {
    let known = this.#known.get(domain);
    if (known === undefined) {
      known = new Map();
      this.#known.set(domain, known);
    }
    if (known.has(op)) return known.get(op);
    const opset = this.opsets.get(domain) ?? (domain === "" ? 1 : undefined);
    const row = opset === undefined ? undefined : opRow(domain, op, opset);
    known.set(op, row);
    return row;
  }
}
