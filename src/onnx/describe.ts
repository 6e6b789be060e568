/** describe(model): what `tenon inspect` shows, as an object with a stable schema and as text. */
import { formatBytes, formatCount } from "../base/index.js";
import type { DType } from "../tensor/index.js";
import {
  type Dim,
  type Graph,
  type Model,
  type Node,
  subgraphsOf,
  type TensorData,
  type Value,
} from "./graph.js";
import { domainName } from "./print.js";
import { weightBytes } from "./tensor-data.js";
import { formatType } from "./types.js";
import { weightsIn } from "./weight-files.js";

export interface ValueDescription {
  readonly name: string;
  /** Printed type: `f32[batch, 3]`. */
  readonly type: string;
  /** null for values that are no tensors, or without a declared dtype. */
  readonly dtype: DType | null;
  /** null: no tensor, or the rank is not declared. */
  readonly dims: readonly Dim[] | null;
  /** An initializer of the same name is its default. */
  readonly optional: boolean;
}

export interface Note {
  readonly code: "RANK_UNDECLARED" | "BATCH" | "LOOP" | "EXTERNAL_UNRESOLVED" | "TOO_NEW";
  readonly text: string;
}

/** Plain data: `JSON.stringify` gives the output of `tenon inspect --json`. */
export interface Description {
  readonly name: string;
  readonly irVersion: number;
  /** By domain; the default domain is `ai.onnx`. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly producer: { readonly name: string; readonly version: string };
  readonly metadata: Readonly<Record<string, string>>;
  readonly inputs: readonly ValueDescription[];
  readonly outputs: readonly ValueDescription[];
  /** Nodes of the graph, its subgraphs and its functions. */
  readonly nodes: number;
  /** Number of nodes by op, most frequent first; ops of other domains are `domain:Op`. */
  readonly ops: Readonly<Record<string, number>>;
  readonly functions: number;
  /** Constants: initializers, and tensors in attributes (`Constant`). */
  readonly weights: {
    readonly count: number;
    readonly values: number;
    readonly bytes: number;
    /** Locations of external data, relative to the model's folder. */
    readonly externalFiles: readonly string[];
  };
  readonly notes: readonly Note[];
}

/** Newest versions that the runtime (ONNX Runtime 1.30) accepts. */
const NEWEST_OPSET = 26;
const NEWEST_IR = 13;

/** Describes a model without reading its weights. */
export function describe(model: Model): Description {
  const ops = new Map<string, number>();
  const graphs: Graph[] = [];
  let nodes = 0;
  const visit = (list: readonly Node[]): void => {
    for (const node of list) {
      nodes++;
      const name = node.domain === "" ? node.op : `${node.domain}:${node.op}`;
      ops.set(name, (ops.get(name) ?? 0) + 1);
      for (const graph of subgraphsOf(node)) visitGraph(graph);
    }
  };
  const visitGraph = (graph: Graph): void => {
    graphs.push(graph);
    visit(graph.nodes);
  };
  visitGraph(model.graph);
  for (const fn of model.functions.values()) visit(fn.nodes);
  const sorted = [...ops].sort(([nameA, a], [nameB, b]) => b - a || (nameA < nameB ? -1 : 1));
  return {
    name: model.graph.name,
    irVersion: Number(model.irVersion),
    opsets: Object.fromEntries([...model.opsets].map(([domain, version]) => [domainName(domain), version])),
    producer: model.producer,
    metadata: Object.fromEntries(model.metadata),
    inputs: model.graph.inputs.map((input) => describeValue(input, model.graph.initializers.has(input.name))),
    outputs: model.graph.outputs.map((output) => describeValue(output, false)),
    nodes,
    ops: Object.fromEntries(sorted),
    functions: model.functions.size,
    weights: weightsOf(weightsIn(model)),
    notes: notesOn(model, ops, graphs),
  };
}

function describeValue(value: Value, optional: boolean): ValueDescription {
  const tensor = value.type?.kind === "tensor" ? value.type : undefined;
  return {
    name: value.name,
    type: formatType(value.type),
    dtype: tensor?.dtype ?? null,
    dims: tensor?.shape ?? null,
    optional,
  };
}

function weightsOf(weights: Iterable<TensorData>): Description["weights"] {
  let count = 0;
  let values = 0;
  let bytes = 0;
  const files = new Set<string>();
  for (const data of weights) {
    count++;
    values += data.dims.reduce((size, dim) => size * dim, 1);
    bytes += weightBytes(data);
    if (data.payload.in === "external") files.add(data.payload.entries.get("location") ?? "");
  }
  return { count, values, bytes, externalFiles: [...files].sort() };
}

function notesOn(model: Model, ops: ReadonlyMap<string, number>, graphs: readonly Graph[]): Note[] {
  const notes: Note[] = [];
  const required = model.graph.inputs.filter((input) => !model.graph.initializers.has(input.name));
  const rankless = required.filter(({ type }) => type?.kind === "tensor" && type.shape === undefined);
  if (rankless.length > 0) {
    notes.push({
      code: "RANK_UNDECLARED",
      text: `the rank is not declared: ${rankless.map((input) => input.name).join(", ")}`,
    });
  }
  const batch = batchNote(required, model.graph.outputs);
  if (batch !== undefined) notes.push({ code: "BATCH", text: batch });
  const loops = ["Loop", "Scan"].flatMap((op) => (ops.has(op) ? [`${op} ${ops.get(op)}`] : []));
  if (loops.length > 0)
    notes.push({ code: "LOOP", text: `run time depends on the input: ${loops.join(", ")}` });
  const unresolved = graphs.some((graph) =>
    [...graph.initializers.values()].some(
      ({ payload }) => payload.in === "external" && payload.range === undefined,
    ),
  );
  if (unresolved) notes.push({ code: "EXTERNAL_UNRESOLVED", text: "external weights were not looked up" });
  const opset = model.opsets.get("") ?? 1;
  if (opset > NEWEST_OPSET || model.irVersion > NEWEST_IR) {
    notes.push({
      code: "TOO_NEW",
      text: `newer than the runtime takes (opset ${NEWEST_OPSET}, IR ${NEWEST_IR})`,
    });
  }
  return notes;
}

/** What the first dims say about batching; whether rows are independent is proved when the model is loaded. */
function batchNote(inputs: readonly Value[], outputs: readonly Value[]): string | undefined {
  const first = [...inputs, ...outputs].map(({ type }) =>
    type?.kind === "tensor" && type.shape !== undefined ? type.shape[0] : undefined,
  );
  if (first.length === 0 || first.includes(undefined)) return undefined;
  const distinct = new Set(first);
  const [dim] = distinct;
  if (first.some((size) => typeof size === "number")) {
    return distinct.size === 1 ? `dim 0 is fixed at ${dim} on all inputs and outputs` : undefined;
  }
  return distinct.size === 1 && typeof dim === "string"
    ? `dim 0 is "${dim}" on all inputs and outputs`
    : "dim 0 is dynamic on all inputs and outputs";
}

/** Ops that are named in the text; all of them are in the object. */
const OPS_SHOWN = 16;

/** The text of `tenon inspect`. `title` is what stands before it, usually the file's name. */
export function formatDescription(description: Description, title = description.name): string {
  const { opsets, weights, ops } = description;
  const external = weights.externalFiles.length === 0 ? "" : `, external ${weights.externalFiles.join(", ")}`;
  const { "ai.onnx": opset, ...domains } = opsets;
  const versions = [
    `ir ${description.irVersion}`,
    ...(opset === undefined ? [] : [`opset ${opset}`]),
    ...Object.entries(domains).map(([domain, version]) => `${domain} ${version}`),
  ];
  const counts = [
    `${description.nodes} nodes`,
    `${weights.count} weights (${formatCount(weights.values)} values, ${formatBytes(weights.bytes)}${external})`,
    ...(description.functions === 0 ? [] : [`${description.functions} functions`]),
  ];
  const { name, version } = description.producer;
  const shown = Object.entries(ops).slice(0, OPS_SHOWN);
  const rest = Object.keys(ops).length - shown.length;
  const lines = [
    `${title}  ONNX ${[...versions, ...counts].join(", ")}`,
    ...(name === "" ? [] : [`from   ${name}${version === "" ? "" : ` ${version}`}`]),
    ...description.inputs.map(
      (input) => `in     ${input.name}: ${input.type}${input.optional ? "  optional" : ""}`,
    ),
    ...description.outputs.map((output) => `out    ${output.name}: ${output.type}`),
    `ops    ${[...shown.map(([op, count]) => `${op} ${count}`), ...(rest > 0 ? [`${rest} more`] : [])].join(" · ")}`,
    ...description.notes.map((note) => `note   ${note.code}: ${note.text}`),
  ];
  return `${lines.join("\n")}\n`;
}
