/** What `tenon inspect` shows of weights and programs: objects with a stable schema, and text. */
import { formatBytes, formatCount } from "../base/index.js";
import { type DType, dtypeInfo } from "../tensor/index.js";
import type {
  Argument,
  ExportedProgram,
  ProgramGraph,
  ProgramInt,
  ProgramNode,
  SymExpr,
  SymName,
  SymSize,
} from "./pt2/program.js";
import { EXPORT_RECIPE } from "./refuse.js";
import { byteLength, elementCount, type TensorRef } from "./tensor-ref.js";
import type { Weights, WeightsFormat } from "./weights.js";

export interface WeightSummary {
  readonly count: number;
  readonly values: number;
  /** Of the elements; tied weights count each time. */
  readonly bytes: number;
  /** Tensors by dtype, most frequent first. */
  readonly dtypes: Readonly<Record<string, number>>;
}

export interface WeightsDescription {
  readonly format: WeightsFormat;
  readonly weights: WeightSummary;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface ProgramDescription {
  readonly format: "exported-program";
  readonly name: string;
  readonly torchVersion: string;
  readonly schemaVersion: string;
  /** `name: f32[s0, 3]`; `?` where the file tells no type. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly nodes: number;
  /** Number of nodes by target, without `torch.ops.`, also of inner graphs; most frequent first. */
  readonly ops: Readonly<Record<string, number>>;
  /** `s0: 2 to 64`; an open end is left out. */
  readonly ranges: readonly string[];
  readonly guards: readonly string[];
  readonly weights: WeightSummary;
}

export function describeWeights({ format, tensors, metadata }: Weights): WeightsDescription {
  return { format, weights: summarize(tensors.values()), metadata: Object.fromEntries(metadata) };
}

export function describeProgram(program: ExportedProgram): ProgramDescription {
  const { graph, ranges } = program;
  const ops = new Map<string, number>();
  let nodes = 0;
  const visit = (inner: ProgramGraph): void => {
    for (const { target, inputs } of inner.nodes) {
      nodes++;
      count(ops, shortTarget(target));
      for (const { arg } of inputs) if (arg.kind === "graph") visit(arg.graph);
    }
  };
  visit(graph);
  return {
    format: "exported-program",
    name: program.name,
    torchVersion: program.torchVersion,
    schemaVersion: `${program.schema.major}.${program.schema.minor}`,
    inputs: program.inputs.flatMap((spec) => (spec.kind === "userInput" ? typed(spec.arg, graph) : [])),
    outputs: program.outputs.flatMap((spec) => (spec.kind === "userOutput" ? typed(spec.arg, graph) : [])),
    nodes,
    ops: byCount(ops),
    ranges: [...ranges].map(([symbol, { min, max }]) => `${symbol}: ${bounds(min, max)}`),
    guards: program.guards,
    weights: summarize(program.weights.values()),
  };
}

function summarize(refs: Iterable<TensorRef>): WeightSummary {
  const dtypes = new Map<string, number>();
  const sum = { count: 0, values: 0, bytes: 0 };
  for (const ref of refs) {
    count(dtypes, ref.dtype);
    sum.count++;
    sum.values += elementCount(ref);
    sum.bytes += byteLength(ref);
  }
  return { ...sum, dtypes: byCount(dtypes) };
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function byCount(counts: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries([...counts].sort(([keyA, a], [keyB, b]) => b - a || (keyA < keyB ? -1 : 1)));
}

const shortTarget = (target: string): string => target.replace(/^torch\.ops\./, "");

function typed(arg: Argument, graph: ProgramGraph): string[] {
  if (arg.kind === "tensor") {
    const meta = graph.tensors.get(arg.name);
    return [`${arg.name}: ${meta === undefined ? "?" : formatTensor(meta.dtype, meta.sizes)}`];
  }
  if (arg.kind === "tensors") return arg.names.flatMap((name) => typed({ kind: "tensor", name }, graph));
  return arg.kind === "none" ? [] : [`${formatArgument(arg)}: ?`];
}

function formatTensor(dtype: DType, sizes: readonly SymSize[]): string {
  return `${dtypeInfo(dtype).short}[${sizes.map((size) => (typeof size === "number" ? size : formatExpr(size))).join(", ")}]`;
}

/** `Symbol('s0', positive=True, integer=True)` is `s0`. */
function formatExpr({ expr }: SymExpr): string {
  return expr.replace(/Symbol\('(\w+)'[^)]*\)/g, "$1");
}

function bounds(min: ProgramInt | null, max: ProgramInt | null): string {
  if (max === null) return min === null ? "any" : `from ${min}`;
  return min === null ? `to ${max}` : `${min} to ${max}`;
}

const OPS_SHOWN = 12;

/** The description as lines of text. */
export function formatWeights(description: WeightsDescription, title: string): string {
  const { format, weights, metadata } = description;
  const texts = Object.entries(metadata).filter(([key]) => !key.includes("."));
  const shown = texts.slice(0, OPS_SHOWN).map(([key, text]) => `${key} ${text.slice(0, 80)}`);
  return lines([
    `${title}  ${format}, ${formatSummary(weights)}`,
    `dtypes ${formatCounts(weights.dtypes)}`,
    ...(texts.length === 0 ? [] : [`with   ${joined(shown, texts.length)}`]),
    ...(format === "torchscript" ? [`note   its graph is not read; ${EXPORT_RECIPE}`] : []),
  ]);
}

/** The description as lines of text. */
export function formatProgram(description: ProgramDescription, title: string): string {
  const { torchVersion, schemaVersion, nodes, weights, inputs, outputs, ops, ranges, guards } = description;
  return lines([
    `${title}  exported program, schema ${schemaVersion}, ${nodes} nodes, ${formatSummary(weights)}`,
    `from   PyTorch ${torchVersion}`,
    ...inputs.map((input) => `in     ${input}`),
    ...outputs.map((output) => `out    ${output}`),
    ...(ranges.length === 0 ? [] : [`where  ${ranges.join(" · ")}`]),
    ...guards.map((guard) => `guard  ${guard}`),
    `ops    ${formatCounts(ops)}`,
    `dtypes ${formatCounts(weights.dtypes)}`,
  ]);
}

function formatSummary({ count: tensors, values, bytes }: WeightSummary): string {
  return `${tensors} weights (${formatCount(values)} values, ${formatBytes(bytes)})`;
}

function formatCounts(counts: Readonly<Record<string, number>>): string {
  const entries = Object.entries(counts);
  return joined(
    entries.slice(0, OPS_SHOWN).map(([key, number]) => `${key} ${number}`),
    entries.length,
  );
}

function joined(shown: readonly string[], total: number): string {
  return [...shown, ...(total > shown.length ? [`${total - shown.length} more`] : [])].join(" · ");
}

/** Lines of text; control characters, which a file's names may hold, are not passed on to a terminal. */
function lines(items: readonly string[]): string {
  return `${items.map((item) => item.replace(/[^\P{Cc}\n]/gu, "�")).join("\n")}\n`;
}

/** The graph as text, one node a line, inner graphs indented. */
export function printProgram(program: ExportedProgram): string {
  return lines(printGraph(program.graph, ""));
}

function printGraph(graph: ProgramGraph, indent: string): string[] {
  return graph.nodes.flatMap((node) => [
    `${indent}${printNode(node, graph)}`,
    ...node.inputs.flatMap(({ arg }) =>
      arg.kind === "graph" ? [`${indent}  ${arg.name}:`, ...printGraph(arg.graph, `${indent}    `)] : [],
    ),
  ]);
}

function printNode({ target, inputs, outputs }: ProgramNode, graph: ProgramGraph): string {
  const results = outputs.flatMap((output) =>
    output.kind === "tensor" || output.kind === "tensors" ? typed(output, graph) : [formatArgument(output)],
  );
  const args = inputs.map(({ name, arg }) =>
    name === "" ? formatArgument(arg) : `${name}=${formatArgument(arg)}`,
  );
  return `${results.join(", ")} = ${shortTarget(target)}(${args.join(", ")})`;
}

function formatArgument(arg: Argument): string {
  switch (arg.kind) {
    case "none":
      return "None";
    case "tensor":
    case "graph":
    case "customObject":
      return arg.name;
    case "tensors":
    case "optionalTensors":
      return `[${arg.names.map((name) => name ?? "None").join(", ")}]`;
    case "nestedTensors":
      return `[${arg.names.map((names) => `[${names.join(", ")}]`).join(", ")}]`;
    case "intLists":
    case "floatLists":
      return `[${arg.values.map((values) => `[${values.join(", ")}]`).join(", ")}]`;
    case "ints":
    case "floats":
    case "bools":
    case "symInts":
    case "symFloats":
    case "symBools":
      return `[${arg.values.map(formatSym).join(", ")}]`;
    case "strings":
      return JSON.stringify(arg.values);
    case "string":
      return JSON.stringify(arg.value);
    case "complex":
      return `${arg.re}+${arg.im}j`;
    case "scalarType":
      return arg.dtype ?? "?";
    case "device":
      return arg.value.type;
    case "operator":
      return shortTarget(arg.target);
    case "named":
      return `{${[...arg.values].map(([name, value]) => `${name}: ${formatArgument(value)}`).join(", ")}}`;
    default:
      return formatSym(arg.value);
  }
}

function formatSym(value: ProgramInt | boolean | string | SymName): string {
  return typeof value === "object" ? value.name : String(value);
}
