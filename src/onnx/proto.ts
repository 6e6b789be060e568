/** The ONNX messages (onnx.proto, IR 14) as typed tables: one row a field, total over each message's interface. */
import type { Chunk } from "./source.js";

/** A protobuf integer: a number when it is safe, else a bigint. */
export type Int = number | bigint;

export interface Message {
  /** Records of unknown fields and of those that are only carried through, tag included, in file order. */
  extra: Chunk[];
}

export interface OperatorSetProto extends Message {
  domain: string | undefined;
  version: Int | undefined;
}

export interface EntryProto extends Message {
  key: string | undefined;
  value: string | undefined;
}

export interface DimProto extends Message {
  value: Int | undefined;
  param: string | undefined;
  denotation: string | undefined;
}

export interface ShapeProto extends Message {
  dims: DimProto[];
}

export interface TensorTypeProto extends Message {
  elementType: number | undefined;
  shape: ShapeProto | undefined;
}

export interface ElementTypeProto extends Message {
  elementType: TypeProto | undefined;
}

export interface MapTypeProto extends Message {
  keyType: number | undefined;
  valueType: TypeProto | undefined;
}

export interface OpaqueTypeProto extends Message {
  domain: string | undefined;
  name: string | undefined;
}

export interface TypeProto extends Message {
  tensor: TensorTypeProto | undefined;
  sequence: ElementTypeProto | undefined;
  map: MapTypeProto | undefined;
  denotation: string | undefined;
  opaque: OpaqueTypeProto | undefined;
  sparse: TensorTypeProto | undefined;
  optional: ElementTypeProto | undefined;
}

export interface ValueInfoProto extends Message {
  name: string | undefined;
  type: TypeProto | undefined;
  doc: string | undefined;
  metadata: EntryProto[];
}

export interface TensorProto extends Message {
  dims: Int[];
  dtype: number | undefined;
  /** The numeric fields hold their packed payload: what the file holds, not yet decoded. */
  floatData: Chunk | undefined;
  int32Data: Chunk | undefined;
  stringData: Uint8Array[];
  int64Data: Chunk | undefined;
  name: string | undefined;
  rawData: Chunk | undefined;
  doubleData: Chunk | undefined;
  uint64Data: Chunk | undefined;
  doc: string | undefined;
  externalData: EntryProto[];
  location: number | undefined;
  metadata: EntryProto[];
}

export interface SparseTensorProto extends Message {
  values: TensorProto | undefined;
  indices: TensorProto | undefined;
  dims: Int[];
}

export interface AttributeProto extends Message {
  name: string | undefined;
  f: number | undefined;
  i: Int | undefined;
  s: Uint8Array | undefined;
  t: TensorProto | undefined;
  g: GraphProto | undefined;
  floats: number[];
  ints: Int[];
  strings: Uint8Array[];
  tensors: TensorProto[];
  graphs: GraphProto[];
  doc: string | undefined;
  tp: TypeProto | undefined;
  typeProtos: TypeProto[];
  type: number | undefined;
  refAttrName: string | undefined;
  sparseTensor: SparseTensorProto | undefined;
  sparseTensors: SparseTensorProto[];
}

export interface NodeProto extends Message {
  input: string[];
  output: string[];
  name: string | undefined;
  opType: string | undefined;
  attribute: AttributeProto[];
  doc: string | undefined;
  domain: string | undefined;
  overload: string | undefined;
  metadata: EntryProto[];
}

export interface GraphProto extends Message {
  node: NodeProto[];
  name: string | undefined;
  initializer: TensorProto[];
  doc: string | undefined;
  input: ValueInfoProto[];
  output: ValueInfoProto[];
  valueInfo: ValueInfoProto[];
  sparseInitializer: SparseTensorProto[];
  metadata: EntryProto[];
}

export interface FunctionProto extends Message {
  name: string | undefined;
  input: string[];
  output: string[];
  attribute: string[];
  node: NodeProto[];
  doc: string | undefined;
  opsets: OperatorSetProto[];
  domain: string | undefined;
  attributeProto: AttributeProto[];
  valueInfo: ValueInfoProto[];
  overload: string | undefined;
  metadata: EntryProto[];
}

export interface ModelProto extends Message {
  irVersion: Int | undefined;
  producerName: string | undefined;
  producerVersion: string | undefined;
  domain: string | undefined;
  modelVersion: Int | undefined;
  doc: string | undefined;
  graph: GraphProto | undefined;
  opsets: OperatorSetProto[];
  metadata: EntryProto[];
  functions: FunctionProto[];
}

/**
 * How a field is read and written. `s` at the end: repeated. `enum` is an int32. `payload` is bytes that may stay
 * in the file; `packed…` is a repeated scalar kept as its packed payload, named by the size of its elements.
 */
export type FieldKind =
  | "int"
  | "ints"
  | "enum"
  | "float"
  | "floats"
  | "string"
  | "strings"
  | "bytes"
  | "bytess"
  | "payload"
  | "packedVarint"
  | "packed32"
  | "packed64"
  | "message"
  | "messages";

type FieldSpec =
  | readonly [number: number, kind: Exclude<FieldKind, "message" | "messages">]
  | readonly [number: number, kind: "message" | "messages", table: () => Table];

export interface Field {
  readonly number: number;
  readonly key: string;
  readonly kind: FieldKind;
  /** The value is an array. */
  readonly repeated: boolean;
  /** A second record of the field is refused. */
  readonly singular: boolean;
  /** The table of the field's message. */
  readonly table: () => Table;
}

export interface Table<M extends Message = Message> {
  /** Carries the interface for inference; never set. */
  readonly message?: M;
  readonly name: string;
  /** In the order of the interface. */
  readonly fields: readonly Field[];
  /** By field number; undefined: kept in `extra`. */
  readonly byNumber: readonly (Field | undefined)[];
  /**
   * A message with no field set: a literal, which engines make fast. Its empty repeated fields share one frozen
   * array: assign, never push.
   */
  readonly empty: () => M;
}

const NONE: never[] = [];
Object.freeze(NONE);

const REPEATED: ReadonlySet<FieldKind> = new Set(["ints", "floats", "strings", "bytess", "messages"]);

function table<M extends Message>(
  name: string,
  empty: () => M,
  rows: { readonly [K in Exclude<keyof M, "extra"> & string]: FieldSpec },
): Table<M> {
  const fields = Object.entries<FieldSpec>(rows).map(([key, [number, kind, of]]) => ({
    number,
    key,
    kind,
    repeated: REPEATED.has(kind),
    singular: !REPEATED.has(kind) && !kind.startsWith("packed"),
    table: of ?? noTable,
  }));
  const byNumber: (Field | undefined)[] = [];
  for (const field of fields) byNumber[field.number] = field;
  return { name, fields, byNumber, empty };
}

function noTable(): Table {
  throw new TypeError("a scalar field has no table");
}

/** A message of interface `M` with some fields set. */
export function make<M extends Message>(of: Table<M>, parts: Partial<M>): M {
  return Object.assign(of.empty(), parts);
}

export const OPERATOR_SET = table<OperatorSetProto>(
  "OperatorSetId",
  () => ({ extra: NONE, domain: undefined, version: undefined }),
  {
    domain: [1, "string"],
    version: [2, "int"],
  },
);

export const ENTRY = table<EntryProto>(
  "StringStringEntry",
  () => ({ extra: NONE, key: undefined, value: undefined }),
  { key: [1, "string"], value: [2, "string"] },
);

export const DIM = table<DimProto>(
  "Dimension",
  () => ({ extra: NONE, value: undefined, param: undefined, denotation: undefined }),
  {
    value: [1, "int"],
    param: [2, "string"],
    denotation: [3, "string"],
  },
);

export const SHAPE = table<ShapeProto>("TensorShape", () => ({ extra: NONE, dims: NONE }), {
  dims: [1, "messages", () => DIM],
});

export const TENSOR_TYPE = table<TensorTypeProto>(
  "Type.Tensor",
  () => ({ extra: NONE, elementType: undefined, shape: undefined }),
  {
    elementType: [1, "enum"],
    shape: [2, "message", () => SHAPE],
  },
);

export const ELEMENT_TYPE = table<ElementTypeProto>(
  "Type.Sequence",
  () => ({ extra: NONE, elementType: undefined }),
  {
    elementType: [1, "message", () => TYPE],
  },
);

export const MAP_TYPE = table<MapTypeProto>(
  "Type.Map",
  () => ({ extra: NONE, keyType: undefined, valueType: undefined }),
  {
    keyType: [1, "enum"],
    valueType: [2, "message", () => TYPE],
  },
);

export const OPAQUE_TYPE = table<OpaqueTypeProto>(
  "Type.Opaque",
  () => ({ extra: NONE, domain: undefined, name: undefined }),
  {
    domain: [1, "string"],
    name: [2, "string"],
  },
);

export const TYPE: Table<TypeProto> = table<TypeProto>(
  "Type",
  () => ({
    extra: NONE,
    tensor: undefined,
    sequence: undefined,
    map: undefined,
    denotation: undefined,
    opaque: undefined,
    sparse: undefined,
    optional: undefined,
  }),
  {
    tensor: [1, "message", () => TENSOR_TYPE],
    sequence: [4, "message", () => ELEMENT_TYPE],
    map: [5, "message", () => MAP_TYPE],
    denotation: [6, "string"],
    opaque: [7, "message", () => OPAQUE_TYPE],
    sparse: [8, "message", () => TENSOR_TYPE],
    optional: [9, "message", () => ELEMENT_TYPE],
  },
);

export const VALUE_INFO = table<ValueInfoProto>(
  "ValueInfo",
  () => ({ extra: NONE, name: undefined, type: undefined, doc: undefined, metadata: NONE }),
  {
    name: [1, "string"],
    type: [2, "message", () => TYPE],
    doc: [3, "string"],
    metadata: [4, "messages", () => ENTRY],
  },
);

export const TENSOR = table<TensorProto>(
  "Tensor",
  () => ({
    extra: NONE,
    dims: NONE,
    dtype: undefined,
    floatData: undefined,
    int32Data: undefined,
    stringData: NONE,
    int64Data: undefined,
    name: undefined,
    rawData: undefined,
    doubleData: undefined,
    uint64Data: undefined,
    doc: undefined,
    externalData: NONE,
    location: undefined,
    metadata: NONE,
  }),
  {
    dims: [1, "ints"],
    dtype: [2, "enum"],
    floatData: [4, "packed32"],
    int32Data: [5, "packedVarint"],
    stringData: [6, "bytess"],
    int64Data: [7, "packedVarint"],
    name: [8, "string"],
    rawData: [9, "payload"],
    doubleData: [10, "packed64"],
    uint64Data: [11, "packedVarint"],
    doc: [12, "string"],
    externalData: [13, "messages", () => ENTRY],
    location: [14, "enum"],
    metadata: [16, "messages", () => ENTRY],
  },
);

export const SPARSE_TENSOR = table<SparseTensorProto>(
  "SparseTensor",
  () => ({ extra: NONE, values: undefined, indices: undefined, dims: NONE }),
  {
    values: [1, "message", () => TENSOR],
    indices: [2, "message", () => TENSOR],
    dims: [3, "ints"],
  },
);

export const ATTRIBUTE: Table<AttributeProto> = table<AttributeProto>(
  "Attribute",
  () => ({
    extra: NONE,
    name: undefined,
    f: undefined,
    i: undefined,
    s: undefined,
    t: undefined,
    g: undefined,
    floats: NONE,
    ints: NONE,
    strings: NONE,
    tensors: NONE,
    graphs: NONE,
    doc: undefined,
    tp: undefined,
    typeProtos: NONE,
    type: undefined,
    refAttrName: undefined,
    sparseTensor: undefined,
    sparseTensors: NONE,
  }),
  {
    name: [1, "string"],
    f: [2, "float"],
    i: [3, "int"],
    s: [4, "bytes"],
    t: [5, "message", () => TENSOR],
    g: [6, "message", () => GRAPH],
    floats: [7, "floats"],
    ints: [8, "ints"],
    strings: [9, "bytess"],
    tensors: [10, "messages", () => TENSOR],
    graphs: [11, "messages", () => GRAPH],
    doc: [13, "string"],
    tp: [14, "message", () => TYPE],
    typeProtos: [15, "messages", () => TYPE],
    type: [20, "enum"],
    refAttrName: [21, "string"],
    sparseTensor: [22, "message", () => SPARSE_TENSOR],
    sparseTensors: [23, "messages", () => SPARSE_TENSOR],
  },
);

export const NODE = table<NodeProto>(
  "Node",
  () => ({
    extra: NONE,
    input: NONE,
    output: NONE,
    name: undefined,
    opType: undefined,
    attribute: NONE,
    doc: undefined,
    domain: undefined,
    overload: undefined,
    metadata: NONE,
  }),
  {
    input: [1, "strings"],
    output: [2, "strings"],
    name: [3, "string"],
    opType: [4, "string"],
    attribute: [5, "messages", () => ATTRIBUTE],
    doc: [6, "string"],
    domain: [7, "string"],
    overload: [8, "string"],
    metadata: [9, "messages", () => ENTRY],
  },
);

export const GRAPH = table<GraphProto>(
  "Graph",
  () => ({
    extra: NONE,
    node: NONE,
    name: undefined,
    initializer: NONE,
    doc: undefined,
    input: NONE,
    output: NONE,
    valueInfo: NONE,
    sparseInitializer: NONE,
    metadata: NONE,
  }),
  {
    node: [1, "messages", () => NODE],
    name: [2, "string"],
    initializer: [5, "messages", () => TENSOR],
    doc: [10, "string"],
    input: [11, "messages", () => VALUE_INFO],
    output: [12, "messages", () => VALUE_INFO],
    valueInfo: [13, "messages", () => VALUE_INFO],
    sparseInitializer: [15, "messages", () => SPARSE_TENSOR],
    metadata: [16, "messages", () => ENTRY],
  },
);

export const FUNCTION = table<FunctionProto>(
  "Function",
  () => ({
    extra: NONE,
    name: undefined,
    input: NONE,
    output: NONE,
    attribute: NONE,
    node: NONE,
    doc: undefined,
    opsets: NONE,
    domain: undefined,
    attributeProto: NONE,
    valueInfo: NONE,
    overload: undefined,
    metadata: NONE,
  }),
  {
    name: [1, "string"],
    input: [4, "strings"],
    output: [5, "strings"],
    attribute: [6, "strings"],
    node: [7, "messages", () => NODE],
    doc: [8, "string"],
    opsets: [9, "messages", () => OPERATOR_SET],
    domain: [10, "string"],
    attributeProto: [11, "messages", () => ATTRIBUTE],
    valueInfo: [12, "messages", () => VALUE_INFO],
    overload: [13, "string"],
    metadata: [14, "messages", () => ENTRY],
  },
);

export const MODEL = table<ModelProto>(
  "Model",
  () => ({
    extra: NONE,
    irVersion: undefined,
    producerName: undefined,
    producerVersion: undefined,
    domain: undefined,
    modelVersion: undefined,
    doc: undefined,
    graph: undefined,
    opsets: NONE,
    metadata: NONE,
    functions: NONE,
  }),
  {
    irVersion: [1, "int"],
    producerName: [2, "string"],
    producerVersion: [3, "string"],
    domain: [4, "string"],
    modelVersion: [5, "int"],
    doc: [6, "string"],
    graph: [7, "message", () => GRAPH],
    opsets: [8, "messages", () => OPERATOR_SET],
    metadata: [14, "messages", () => ENTRY],
    functions: [25, "messages", () => FUNCTION],
  },
);
