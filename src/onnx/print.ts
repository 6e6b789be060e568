/** print(model): the readable text of a graph, one node a line; the golden form that tests compare. */
import { createHash } from "node:crypto";
import { dtypeInfo, type NestedArray } from "../tensor/core.js";
import type { Attr, FunctionDef, Graph, Model, Node, TensorData, Value } from "./graph.js";
import { rawBytes, readTensor, weightBytes } from "./tensor-data.js";
import { formatType } from "./types.js";

/** Weights up to this size are printed with a hash of their bytes; larger ones are not read for it. */
const HASH_UP_TO = 2 ** 20;
/** Constants up to this many elements are printed with their values. */
const VALUES_UP_TO = 8;

/**
 * A model as text: `%name` values, `@name` constants, attributes sorted by name, subgraphs indented under their node,
 * functions behind the graph. Equal models give equal text; weights are compared by hash up to 1 MiB, else by dtype
 * and dims only.
 */
export function print(model: Model): string {
  const opsets = [...model.opsets].map(([domain, version]) => `${domainName(domain)} ${version}`);
  const lines = [`model ir ${model.irVersion}, ${opsets.join(", ")}`];
  for (const [key, value] of model.metadata) lines.push(`meta ${key} = ${JSON.stringify(value)}`);
  lines.push(`graph ${model.graph.name}`, ...graphLines(model.graph, new Set(), "  "));
  for (const fn of model.functions.values()) lines.push(...functionLines(fn));
  return `${lines.join("\n")}\n`;
}

export function domainName(domain: string): string {
  return domain === "" ? "ai.onnx" : domain;
}

function functionLines(fn: FunctionDef): string[] {
  const overload = fn.overload === "" ? "" : `:${fn.overload}`;
  const attributes = [
    ...fn.attributes,
    ...[...fn.attributeDefaults].map(([name, attr]) => `${name}=${formatAttr(attr)}`),
  ];
  const given = [...fn.inputs.map((name) => `%${name}`), ...attributes].join(", ");
  const opsets = [...fn.opsets].map(([domain, version]) => `${domainName(domain)} ${version}`);
  return [
    `function ${domainName(fn.domain)}:${fn.name}${overload}(${given})  ${opsets.join(", ")}`,
    ...fn.nodes.flatMap((node) => nodeLines(node, fn.valueInfo, new Set(), "  ")),
    `  return ${fn.outputs.map((name) => `%${name}`).join(", ")}`,
  ];
}

function graphLines(graph: Graph, outer: ReadonlySet<string>, indent: string): string[] {
  const constants = new Set([...outer, ...graph.initializers.keys(), ...graph.sparseInitializers.keys()]);
  const declared = new Map(graph.valueInfo);
  for (const output of graph.outputs) declared.set(output.name, output);
  const refer = (name: string): string => (constants.has(name) ? `@${name}` : `%${name}`);
  return [
    ...graph.inputs.map((input) => `${indent}in ${refer(input.name)}: ${formatType(input.type)}`),
    ...[...graph.initializers].map(([name, data]) => `${indent}@${name}: ${formatWeight(data)}`),
    ...[...graph.sparseInitializers].map(
      ([name, { values, indices, dims }]) =>
        `${indent}@${name}: sparse [${dims.join(", ")}] of ${formatWeight(values)} at ${formatWeight(indices)}`,
    ),
    ...graph.nodes.flatMap((node) => nodeLines(node, declared, constants, indent)),
    ...graph.outputs.map((output) => `${indent}out ${refer(output.name)}: ${formatType(output.type)}`),
  ];
}

function nodeLines(
  node: Node,
  declared: ReadonlyMap<string, Value>,
  constants: ReadonlySet<string>,
  indent: string,
): string[] {
  const outputs = node.outputs.map((name) => {
    const type = declared.get(name)?.type;
    return name === "" ? "_" : type === undefined ? `%${name}` : `%${name}: ${formatType(type)}`;
  });
  const inputs = node.inputs.map((name) =>
    name === "" ? "_" : constants.has(name) ? `@${name}` : `%${name}`,
  );
  const sorted = [...node.attrs].sort(([a], [b]) => (a < b ? -1 : 1));
  const plain = sorted.filter(([, attr]) => attr.kind !== "graph" && attr.kind !== "graphs");
  const call = [...inputs, ...plain.map(([name, attr]) => `${name}=${formatAttr(attr)}`)].join(", ");
  const op = `${node.domain === "" ? "" : `${node.domain}:`}${node.op}${node.overload === "" ? "" : `:${node.overload}`}`;
  const lines = [`${indent}${outputs.join(", ")} = ${op}(${call})`];
  for (const [name, attr] of sorted) {
    const graphs = attr.kind === "graph" ? [attr.value] : attr.kind === "graphs" ? attr.value : [];
    for (const graph of graphs) {
      lines.push(`${indent}  ${name}: graph ${graph.name}`, ...graphLines(graph, constants, `${indent}    `));
    }
  }
  return lines;
}

function formatWeight(data: TensorData): string {
  const type = `${dtypeInfo(data.dtype).short}[${data.dims.join(", ")}]`;
  if (data.payload.in === "external" && data.payload.range === undefined) {
    return `${type} in ${data.payload.entries.get("location") ?? ""}`;
  }
  if (weightBytes(data) > HASH_UP_TO) return type;
  if (data.dtype !== "string" && data.dims.reduce((size, dim) => size * dim, 1) <= VALUES_UP_TO) {
    return formatTensor(data);
  }
  return `${type} sha256:${hash(data)}`;
}

function hash(data: TensorData): string {
  const digest = createHash("sha256");
  if (data.payload.in === "stringData") {
    for (const item of data.payload.strings) digest.update(`${item.length}:`).update(item);
  } else if (rawBytes(data) !== undefined) digest.update(readTensor(data).bytes);
  return digest.digest("hex").slice(0, 8);
}

/** A small tensor with its values (`i64[2] [1, -1]`), a larger one with its hash. */
function formatTensor(data: TensorData): string {
  const type = `${dtypeInfo(data.dtype).short}[${data.dims.join(", ")}]`;
  const size = data.dims.reduce((product, dim) => product * dim, 1);
  if (size > VALUES_UP_TO) return formatWeight(data);
  const { bits, kind } = dtypeInfo(data.dtype);
  // Dtypes below 16 bits have no JavaScript values; their bit patterns are told apart by hash.
  if (kind === "float" && bits < 16) return `${type} sha256:${hash(data)}`;
  if (bits < 8 && kind !== "string") return `${type} sha256:${hash(data)}`;
  return `${type} ${formatNested(readTensor(data).toArray())}`;
}

function formatNested(value: NestedArray): string {
  if (Array.isArray(value)) return `[${value.map(formatNested).join(", ")}]`;
  if (typeof value === "number") return formatFloat(value);
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

/** The shortest decimal that is the same float32; attributes and float32 weights hold no more than that. */
function formatFloat(value: number): string {
  if (!Number.isFinite(value) || Number.isInteger(value) || Math.fround(value) !== value)
    return String(value);
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(value);
}

function formatAttr(attr: Attr): string {
  switch (attr.kind) {
    case "reference":
      return `@${attr.to}`;
    case "float":
      return formatFloat(attr.value);
    case "int":
      return String(attr.value);
    case "string":
      return formatText(attr.value);
    case "floats":
      return `[${attr.value.map(formatFloat).join(", ")}]`;
    case "ints":
      return `[${attr.value.join(", ")}]`;
    case "strings":
      return `[${attr.value.map(formatText).join(", ")}]`;
    case "tensor":
      return formatTensor(attr.value);
    case "tensors":
      return `[${attr.value.map(formatTensor).join(", ")}]`;
    case "sparse":
      return `sparse ${formatTensor(attr.value.values)}`;
    case "sparses":
      return `[${attr.value.map(({ values }) => `sparse ${formatTensor(values)}`).join(", ")}]`;
    case "type":
      return formatType(attr.value);
    case "types":
      return `[${attr.value.map(formatType).join(", ")}]`;
    case "graph":
    case "graphs":
      return attr.kind;
  }
}

function formatText(value: string | Uint8Array): string {
  return typeof value === "string" ? JSON.stringify(value) : `<${value.byteLength} bytes>`;
}
