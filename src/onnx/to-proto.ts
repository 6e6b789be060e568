/** Model → messages, the inverse of from-proto. */
import { DTYPES } from "../tensor/core.js";
import { ATTR_KINDS } from "./attributes.js";
import {
  type Attr,
  type FunctionDef,
  type Graph,
  type Model,
  type Node,
  type Notes,
  type SparseTensor,
  type TensorData,
  type Value,
  withoutTrailingEmpty,
} from "./graph.js";
import {
  ATTRIBUTE,
  type AttributeProto,
  ENTRY,
  type EntryProto,
  FUNCTION,
  type FunctionProto,
  GRAPH,
  type GraphProto,
  MODEL,
  type ModelProto,
  make,
  NODE,
  type NodeProto,
  OPERATOR_SET,
  type OperatorSetProto,
  SPARSE_TENSOR,
  type SparseTensorProto,
  TENSOR,
  type TensorProto,
  VALUE_INFO,
  type ValueInfoProto,
} from "./proto.js";
import type { Chunk } from "./source.js";
import { typeToProto } from "./types.js";

/** How weights are written: as they are, or placed elsewhere by `saveModel`. Only initializers can lie outside the file. */
export type PlaceWeight = (data: TensorData, isInitializer: boolean) => TensorData;

export function modelToProto(model: Model, place: PlaceWeight): ModelProto {
  const graph = model.irVersion < 4 ? withInitializerInputs(model.graph) : model.graph;
  return make(MODEL, {
    irVersion: model.irVersion,
    producerName: text(model.producer.name),
    producerVersion: text(model.producer.version),
    domain: text(model.domain),
    modelVersion: model.modelVersion === 0 ? undefined : model.modelVersion,
    graph: graphToProto(graph, place),
    opsets: opsetsToProto(model.opsets),
    metadata: entriesToProto(model.metadata),
    functions: [...model.functions.values()].map((fn) => functionToProto(fn, place)),
    doc: model.notes?.doc,
    extra: extraOf(model.notes),
  });
}

function withInitializerInputs(graph: Graph): Graph {
  const listed = new Set(graph.inputs.map((input) => input.name));
  const missing = [...graph.initializers].filter(([name]) => !listed.has(name));
  const added = missing.map(
    ([name, data]): Value => ({ name, type: { kind: "tensor", dtype: data.dtype, shape: data.dims } }),
  );
  return { ...graph, inputs: [...graph.inputs, ...added] };
}

function graphToProto(graph: Graph, place: PlaceWeight): GraphProto {
  return make(GRAPH, {
    node: graph.nodes.map((node) => nodeToProto(node, place)),
    name: graph.name,
    initializer: [...graph.initializers].map(([name, data]) => tensorToProto({ ...data, name }, place, true)),
    sparseInitializer: [...graph.sparseInitializers].map(([name, sparse]) =>
      sparseToProto({ ...sparse, values: { ...sparse.values, name } }, place),
    ),
    input: graph.inputs.map(valueToProto),
    output: graph.outputs.map(valueToProto),
    valueInfo: [...graph.valueInfo.values()].map(valueToProto),
    ...notesToProto(graph.notes),
  });
}

function functionToProto(fn: FunctionDef, place: PlaceWeight): FunctionProto {
  return make(FUNCTION, {
    name: fn.name,
    domain: text(fn.domain),
    overload: text(fn.overload),
    input: [...fn.inputs],
    output: [...fn.outputs],
    attribute: [...fn.attributes],
    attributeProto: attrsToProto(fn.attributeDefaults, place),
    node: fn.nodes.map((node) => nodeToProto(node, place)),
    opsets: opsetsToProto(fn.opsets),
    valueInfo: [...fn.valueInfo.values()].map(valueToProto),
    ...notesToProto(fn.notes),
  });
}

function nodeToProto(node: Node, place: PlaceWeight): NodeProto {
  return make(NODE, {
    input: [...withoutTrailingEmpty(node.inputs)],
    output: [...withoutTrailingEmpty(node.outputs)],
    name: text(node.name),
    opType: node.op,
    domain: text(node.domain),
    overload: text(node.overload),
    attribute: attrsToProto(node.attrs, place),
    ...notesToProto(node.notes),
  });
}

function attrsToProto(attrs: ReadonlyMap<string, Attr>, place: PlaceWeight): AttributeProto[] {
  return [...attrs].map(([name, attr]) => {
    const kind = attr.kind === "reference" ? attr.of : attr.kind;
    const proto = make(ATTRIBUTE, {
      name,
      type: ATTR_KINDS[kind].code,
      doc: attr.notes?.doc,
      extra: extraOf(attr.notes),
    });
    if (attr.kind === "reference") proto.refAttrName = attr.to;
    else Object.assign(proto, { [ATTR_KINDS[kind].field]: attrToProto(attr, place) });
    return proto;
  });
}

function attrToProto(attr: Exclude<Attr, { kind: "reference" }>, place: PlaceWeight): unknown {
  switch (attr.kind) {
    case "float":
    case "int":
    case "floats":
    case "ints":
      return attr.value;
    case "string":
      return toBytes(attr.value);
    case "strings":
      return attr.value.map(toBytes);
    case "tensor":
      return tensorToProto(attr.value, place);
    case "tensors":
      return attr.value.map((tensor) => tensorToProto(tensor, place));
    case "graph":
      return graphToProto(attr.value, place);
    case "graphs":
      return attr.value.map((graph) => graphToProto(graph, place));
    case "sparse":
      return sparseToProto(attr.value, place);
    case "sparses":
      return attr.value.map((sparse) => sparseToProto(sparse, place));
    case "type":
      return typeToProto(attr.value);
    case "types":
      return attr.value.map(typeToProto);
  }
}

const encoder = new TextEncoder();

function toBytes(value: string | Uint8Array): Uint8Array {
  return typeof value === "string" ? encoder.encode(value) : value;
}

function tensorToProto(data: TensorData, place: PlaceWeight, isInitializer = false): TensorProto {
  const { dtype, dims, payload, name, notes } = place(data, isInitializer);
  const proto = make(TENSOR, {
    dims: [...dims],
    dtype: DTYPES[dtype].onnx,
    name: text(name),
    ...notesToProto(notes),
  });
  switch (payload.in) {
    case "raw":
      proto.rawData = payload.bytes;
      break;
    case "stringData":
      proto.stringData = [...payload.strings];
      break;
    case "external":
      proto.location = 1;
      proto.externalData = entriesToProto(payload.entries);
      break;
    default:
      proto[payload.in] = payload.bytes;
  }
  return proto;
}

function sparseToProto(sparse: SparseTensor, place: PlaceWeight): SparseTensorProto {
  return make(SPARSE_TENSOR, {
    values: tensorToProto(sparse.values, place),
    indices: tensorToProto(sparse.indices, place),
    dims: [...sparse.dims],
    extra: extraOf(sparse.notes),
  });
}

function valueToProto(value: Value): ValueInfoProto {
  return make(VALUE_INFO, {
    name: value.name,
    type: value.type === undefined ? undefined : typeToProto(value.type),
    ...notesToProto(value.notes),
  });
}

function opsetsToProto(opsets: ReadonlyMap<string, number>): OperatorSetProto[] {
  return [...opsets].map(([domain, version]) => make(OPERATOR_SET, { domain, version }));
}

function entriesToProto(entries: ReadonlyMap<string, string> | undefined): EntryProto[] {
  return entries === undefined ? [] : [...entries].map(([key, value]) => make(ENTRY, { key, value }));
}

function notesToProto(notes: Notes | undefined): {
  doc: string | undefined;
  metadata: EntryProto[];
  extra: Chunk[];
} {
  return { doc: notes?.doc, metadata: entriesToProto(notes?.metadata), extra: extraOf(notes) };
}

function extraOf(notes: Notes | undefined): Chunk[] {
  return notes?.extra === undefined ? [] : [...notes.extra];
}

function text(value: string): string | undefined {
  return value === "" ? undefined : value;
}
