/** Decoded messages → Model: names resolved, kinds closed, and every message that could be read two ways refused. */
import { type DType, dtypeFromOnnx } from "../tensor/core.js";
import { ATTR_KIND_NAMES, ATTR_KINDS, attrKindOf } from "./attributes.js";
import { textOf } from "./decode.js";
import {
  type Attr,
  type AttrKind,
  type Dim,
  type FunctionDef,
  functionKey,
  type Graph,
  type Model,
  makeGraph,
  type Node,
  type Notes,
  normalizeDomain,
  type Payload,
  type SparseTensor,
  type TensorData,
  type Value,
  type ValueType,
} from "./graph.js";
import { invalid } from "./invalid.js";
import type {
  AttributeProto,
  EntryProto,
  FunctionProto,
  GraphProto,
  Int,
  ModelProto,
  NodeProto,
  OperatorSetProto,
  SparseTensorProto,
  TensorProto,
  TensorTypeProto,
  TypeProto,
  ValueInfoProto,
} from "./proto.js";
import type { Chunk } from "./source.js";
import { checkTensorData } from "./tensor-data.js";
import { encodeIfRicher } from "./types.js";

/** Where the bytes of an external tensor are; undefined leaves them unresolved. */
export type Locate = (entries: ReadonlyMap<string, string>, tensor: string) => Chunk | undefined;

interface Scope {
  readonly locate: Locate;
  /** True in the body of a local function, the only place for attribute references. */
  readonly inFunction: boolean;
}

/** Nodes converted between two pauses. */
const SLICE = 256;

/** A generator for the same reason as `decode`: it pauses between the nodes of the main graph. */
export function* modelFromProto(proto: ModelProto, locate: Locate): Generator<void, Model> {
  if (proto.graph === undefined)
    throw invalid("the file holds no graph", { do: "check that it is an ONNX model" });
  const scope: Scope = { locate, inFunction: false };
  const irVersion = proto.irVersion ?? 0;
  const graph = yield* graphSlices(proto.graph, scope);
  return Object.freeze({
    irVersion,
    opsets: opsetsOf(proto.opsets),
    graph: irVersion < 4 ? withoutInitializerInputs(graph) : graph,
    functions: functionsOf(proto.functions, scope),
    metadata: entriesOf(proto.metadata, "model metadata"),
    producer: Object.freeze({ name: proto.producerName ?? "", version: proto.producerVersion ?? "" }),
    domain: proto.domain ?? "",
    modelVersion: proto.modelVersion ?? 0,
    ...notesOf(proto.doc, [], proto.extra),
  });
}

/** Before IR 4 every initializer had to be an input too; without that entry it is what it was meant to be, a constant. */
function withoutInitializerInputs(graph: Graph): Graph {
  return makeGraph({ ...graph, inputs: graph.inputs.filter((input) => !graph.initializers.has(input.name)) });
}

function* graphSlices(proto: GraphProto, scope: Scope): Generator<void, Graph> {
  const nodes: Node[] = [];
  for (const node of proto.node) {
    nodes.push(nodeOf(node, scope));
    if (nodes.length % SLICE === 0) yield;
  }
  return graphOf(proto, nodes, scope);
}

function graphOf(proto: GraphProto, nodes: readonly Node[], scope: Scope): Graph {
  return makeGraph({
    name: proto.name ?? "",
    inputs: proto.input.map(valueFrom),
    outputs: proto.output.map(valueFrom),
    nodes,
    initializers: uniqueMap(
      proto.initializer.map((tensor) => tensorOf(tensor, scope)),
      (tensor) => tensor.name,
      "initializer",
    ),
    sparseInitializers: uniqueMap(
      proto.sparseInitializer.map((sparse) => sparseOf(sparse, scope)),
      (sparse) => sparse.values.name,
      "sparse initializer",
    ),
    valueInfo: valueInfoOf(proto.valueInfo),
    ...notesOf(proto.doc, proto.metadata, proto.extra),
  });
}

/** Exporters do write an intermediate value's type twice; the first counts, as both say the same. */
function valueInfoOf(protos: readonly ValueInfoProto[]): ReadonlyMap<string, Value> {
  const values = new Map<string, Value>();
  for (const proto of protos) {
    const value = valueFrom(proto);
    if (!values.has(value.name)) values.set(value.name, value);
  }
  return values;
}

function functionsOf(protos: readonly FunctionProto[], outer: Scope): ReadonlyMap<string, FunctionDef> {
  const scope: Scope = { ...outer, inFunction: true };
  return uniqueMap(
    protos.map((proto) => functionOf(proto, scope)),
    functionKey,
    "function",
  );
}

function functionOf(proto: FunctionProto, scope: Scope): FunctionDef {
  return Object.freeze({
    name: proto.name ?? "",
    domain: normalizeDomain(proto.domain ?? ""),
    overload: proto.overload ?? "",
    inputs: proto.input,
    outputs: proto.output,
    attributes: proto.attribute,
    attributeDefaults: attrsOf(proto.attributeProto, scope, `function ${proto.name ?? ""}`),
    nodes: proto.node.map((node) => nodeOf(node, scope)),
    opsets: opsetsOf(proto.opsets),
    valueInfo: valueInfoOf(proto.valueInfo),
    ...notesOf(proto.doc, proto.metadata, proto.extra),
  });
}

function nodeOf(proto: NodeProto, scope: Scope): Node {
  const node = {
    op: proto.opType ?? "",
    domain: normalizeDomain(proto.domain ?? ""),
    overload: proto.overload ?? "",
    name: proto.name ?? "",
    inputs: proto.input,
    outputs: proto.output,
    attrs: proto.attribute.length === 0 ? NO_ATTRS : attrsOf(proto.attribute, scope, describeNode(proto)),
  };
  const notes = notesOf(proto.doc, proto.metadata, proto.extra);
  return Object.freeze(notes.notes === undefined ? node : { ...node, ...notes });
}

const NO_ATTRS: ReadonlyMap<string, Attr> = new Map();

function describeNode(proto: NodeProto): string {
  return `${proto.opType ?? "node"} "${proto.name ?? proto.output[0] ?? ""}"`;
}

function attrsOf(protos: readonly AttributeProto[], scope: Scope, owner: string): ReadonlyMap<string, Attr> {
  const attrs = new Map<string, Attr>();
  for (const proto of protos) {
    const name = proto.name ?? "";
    if (attrs.has(name)) throw invalid(`${owner} has the attribute "${name}" twice`);
    attrs.set(name, attrOf(proto, scope, `attribute "${name}" of ${owner}`));
  }
  return attrs;
}

function attrOf(proto: AttributeProto, scope: Scope, what: string): Attr {
  const fields = ATTR_KIND_NAMES.filter((kind) => isSet(proto[ATTR_KINDS[kind].field]));
  const kind = proto.type === undefined || proto.type === 0 ? fields[0] : attrKindOf(proto.type);
  if (kind === undefined)
    throw invalid(`${what} has no value and no known type`, { given: `type ${proto.type}` });
  if (fields.length > 1) throw invalid(`${what} has several values`, { given: fields.join(", ") });
  if (fields.length === 1 && fields[0] !== kind) {
    throw invalid(`${what} has a value of another type than it says`, { given: fields[0]!, expected: kind });
  }
  const notes = notesOf(proto.doc, [], proto.extra);
  if (proto.refAttrName !== undefined && proto.refAttrName !== "") {
    if (!scope.inFunction) throw invalid(`${what} refers to a function's attribute outside a function`);
    if (fields.length > 0) throw invalid(`${what} has a value and refers to another one`);
    return Object.freeze({ kind: "reference", to: proto.refAttrName, of: kind, ...notes });
  }
  return Object.freeze({ kind, value: attrValue(kind, proto, scope, what), ...notes } as Attr);
}

function isSet(value: unknown): boolean {
  return value !== undefined && !(Array.isArray(value) && value.length === 0);
}

/** The value of a kind; the type's zero when the field is absent, since some writers drop default values. */
function attrValue(kind: AttrKind, proto: AttributeProto, scope: Scope, what: string): unknown {
  switch (kind) {
    case "float":
      return proto.f ?? 0;
    case "int":
      return proto.i ?? 0;
    case "string":
      return proto.s === undefined ? "" : textOrBytes(proto.s);
    case "floats":
      return proto.floats;
    case "ints":
      return proto.ints;
    case "strings":
      return proto.strings.map(textOrBytes);
    case "tensor":
      return tensorOf(given(proto.t, what), scope);
    case "tensors":
      return proto.tensors.map((tensor) => tensorOf(tensor, scope));
    case "graph":
      return subgraphOf(given(proto.g, what), scope);
    case "graphs":
      return proto.graphs.map((graph) => subgraphOf(graph, scope));
    case "sparse":
      return sparseOf(given(proto.sparseTensor, what), scope);
    case "sparses":
      return proto.sparseTensors.map((sparse) => sparseOf(sparse, scope));
    case "type":
      return typeOf(given(proto.tp, what));
    case "types":
      return proto.typeProtos.map(typeOf);
  }
}

function given<T>(message: T | undefined, what: string): T {
  if (message === undefined) throw invalid(`${what} has no value`);
  return message;
}

function subgraphOf(proto: GraphProto, scope: Scope): Graph {
  return graphOf(
    proto,
    proto.node.map((node) => nodeOf(node, scope)),
    scope,
  );
}

function textOrBytes(bytes: Uint8Array): string | Uint8Array {
  return textOf(bytes) ?? bytes;
}

// ── tensors ────────────────────────────────────────────────────────────────────────────────────

const INLINE_FIELDS = [
  "rawData",
  "floatData",
  "int32Data",
  "int64Data",
  "doubleData",
  "uint64Data",
] as const satisfies (keyof TensorProto)[];

function tensorOf(proto: TensorProto, scope: Scope): TensorData {
  const name = proto.name ?? "";
  const data = {
    dtype: dtypeOf(proto.dtype ?? 0, `tensor "${name}"`),
    dims: proto.dims.map((dim) => count(dim, `a dim of tensor "${name}"`)),
    payload: payloadOf(proto, name, scope),
    name,
    ...notesOf(proto.doc, proto.metadata, proto.extra),
  };
  checkTensorData(data);
  return Object.freeze(data);
}

function payloadOf(proto: TensorProto, name: string, scope: Scope): Payload {
  const inline: string[] = INLINE_FIELDS.filter((field) => proto[field] !== undefined);
  if (proto.stringData.length > 0) inline.push("stringData");
  const external = proto.location === 1;
  if (!external && proto.location !== undefined && proto.location !== 0) {
    throw invalid(`tensor "${name}" has an unknown data location`, { given: String(proto.location) });
  }
  if (inline.length + (external || proto.externalData.length > 0 ? 1 : 0) > 1) {
    throw invalid(`tensor "${name}" holds its data in several fields, and readers differ on which counts`, {
      given: [...inline, ...(external || proto.externalData.length > 0 ? ["external"] : [])].join(", "),
    });
  }
  if (external) {
    const entries = entriesOf(proto.externalData, `external data of tensor "${name}"`);
    const range = scope.locate(entries, name);
    return { in: "external", entries, ...(range === undefined ? {} : { range }) };
  }
  if (proto.externalData.length > 0) {
    throw invalid(`tensor "${name}" names an external file but says that its data is inline`);
  }
  if (proto.dtype === STRING && inline.length <= (proto.stringData.length > 0 ? 1 : 0)) {
    return { in: "stringData", strings: proto.stringData };
  }
  for (const field of INLINE_FIELDS) {
    const bytes = proto[field];
    if (bytes !== undefined) return { in: field === "rawData" ? "raw" : field, bytes };
  }
  if (proto.stringData.length > 0) return { in: "stringData", strings: proto.stringData };
  return { in: "raw", bytes: EMPTY };
}

const STRING = 8;
const EMPTY = new Uint8Array(0);

function sparseOf(proto: SparseTensorProto, scope: Scope): SparseTensor {
  const values = tensorOf(given(proto.values, "the values of a sparse tensor"), scope);
  const indices = tensorOf(given(proto.indices, "the indices of a sparse tensor"), scope);
  const dims = proto.dims.map((dim) => count(dim, "a dim of a sparse tensor"));
  if (indices.dtype !== "int64") {
    throw invalid(`sparse tensor "${values.name}" has indices of another dtype`, {
      given: indices.dtype,
      expected: "int64",
    });
  }
  return Object.freeze({ values, indices, dims, ...notesOf(undefined, [], proto.extra) });
}

function dtypeOf(code: number, what: string): DType {
  const dtype = dtypeFromOnnx(code);
  if (dtype === undefined) throw invalid(`${what} has an unknown dtype`, { given: `code ${code}` });
  return dtype;
}

function count(value: Int, what: string): number {
  if (typeof value === "bigint" || value < 0) {
    throw invalid(`${what} is no count`, { given: String(value), expected: "an integer from 0 to 2^53 - 1" });
  }
  return value;
}

// ── values and types ───────────────────────────────────────────────────────────────────────────

function valueFrom(proto: ValueInfoProto): Value {
  return Object.freeze({
    name: proto.name ?? "",
    ...(proto.type === undefined ? {} : { type: typeOf(proto.type) }),
    ...notesOf(proto.doc, proto.metadata, proto.extra),
  });
}

function typeOf(proto: TypeProto): ValueType {
  const type = plainType(proto);
  const encoded = encodeIfRicher(proto);
  return Object.freeze(encoded === undefined ? type : { ...type, encoded });
}

const TYPE_FIELDS = [
  "tensor",
  "sequence",
  "map",
  "opaque",
  "sparse",
  "optional",
] as const satisfies (keyof TypeProto)[];

function plainType(proto: TypeProto): ValueType {
  const fields = TYPE_FIELDS.filter((field) => proto[field] !== undefined);
  if (fields.length > 1) throw invalid("a type is of several kinds at once", { given: fields.join(", ") });
  if (proto.tensor !== undefined) return tensorType("tensor", proto.tensor);
  if (proto.sparse !== undefined) return tensorType("sparse", proto.sparse);
  if (proto.sequence !== undefined) {
    const { elementType } = proto.sequence;
    return { kind: "sequence", element: elementType === undefined ? null : plainType(elementType) };
  }
  if (proto.optional !== undefined) {
    const { elementType } = proto.optional;
    return { kind: "optional", element: elementType === undefined ? null : plainType(elementType) };
  }
  if (proto.map !== undefined) {
    const { keyType, valueType } = proto.map;
    return {
      kind: "map",
      key: typeDtype(keyType),
      value: valueType === undefined ? null : plainType(valueType),
    };
  }
  if (proto.opaque !== undefined) {
    return { kind: "opaque", domain: proto.opaque.domain ?? "", name: proto.opaque.name ?? "" };
  }
  return { kind: "tensor", dtype: null };
}

function tensorType(kind: "tensor" | "sparse", proto: TensorTypeProto): ValueType {
  const dtype = typeDtype(proto.elementType);
  if (proto.shape === undefined) return { kind, dtype };
  return { kind, dtype, shape: proto.shape.dims.map((dim) => dimOf(dim.value, dim.param)) };
}

function typeDtype(code: number | undefined): DType | null {
  return code === undefined || code === 0 ? null : dtypeOf(code, "a value's type");
}

function dimOf(value: Int | undefined, param: string | undefined): Dim {
  if (value !== undefined && param !== undefined) {
    throw invalid("a dim is a size and a symbol at once", { given: `${value} and "${param}"` });
  }
  // Some exporters write -1 for an unknown size.
  if (value !== undefined && value !== -1) return count(value, "a dim of a declared type");
  return param === undefined || param === "" ? null : param;
}

// ── shared pieces ──────────────────────────────────────────────────────────────────────────────

function opsetsOf(protos: readonly OperatorSetProto[]): ReadonlyMap<string, number> {
  const opsets = new Map<string, number>();
  for (const proto of protos) {
    const domain = normalizeDomain(proto.domain ?? "");
    const version = count(proto.version ?? 0, "an opset version");
    const before = opsets.get(domain);
    if (before !== undefined && before !== version) {
      throw invalid("two versions of one opset are imported", {
        given: `"${domain}" ${before} and ${version}`,
      });
    }
    opsets.set(domain, version);
  }
  return opsets;
}

function entriesOf(protos: readonly EntryProto[], what: string): ReadonlyMap<string, string> {
  const entries = new Map<string, string>();
  for (const { key = "", value = "" } of protos) {
    if (entries.has(key)) throw invalid(`${what} has the key "${key}" twice`);
    entries.set(key, value);
  }
  return entries;
}

function uniqueMap<T>(items: readonly T[], key: (item: T) => string, what: string): ReadonlyMap<string, T> {
  const map = new Map<string, T>();
  for (const item of items) {
    const name = key(item);
    if (map.has(name)) throw invalid(`two ${what}s have the same name`, { given: `"${name}"` });
    map.set(name, item);
  }
  return map;
}

function notesOf(
  doc: string | undefined,
  metadata: readonly EntryProto[],
  extra: readonly Chunk[],
): { notes?: Notes } {
  if ((doc === undefined || doc === "") && metadata.length === 0 && extra.length === 0) return NO_NOTES;
  return {
    notes: Object.freeze({
      ...(doc === undefined || doc === "" ? {} : { doc }),
      ...(metadata.length === 0 ? {} : { metadata: entriesOf(metadata, "metadata") }),
      ...(extra.length === 0 ? {} : { extra }),
    }),
  };
}

const NO_NOTES: { notes?: Notes } = {};
