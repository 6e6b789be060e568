/** A model in memory: plain, frozen objects that only Patch and the passes rebuild. Mirrors onnx.proto, decoded. */
import type { DType } from "../tensor/index.js";
import type { Int } from "./proto.js";
import type { Chunk } from "./source.js";

export type { Int } from "./proto.js";

/** What a reader keeps for the writer and nobody computes with. */
export interface Notes {
  readonly doc?: string;
  readonly metadata?: ReadonlyMap<string, string>;
  /** Records of fields that this version does not know, re-emitted as they were. */
  readonly extra?: readonly Chunk[];
}

export interface Model {
  readonly irVersion: Int;
  /** Imported opset version by domain; `ai.onnx` is `""`. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly graph: Graph;
  /** Local functions by `functionKey`. */
  readonly functions: ReadonlyMap<string, FunctionDef>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly producer: { readonly name: string; readonly version: string };
  readonly domain: string;
  readonly modelVersion: Int;
  readonly notes?: Notes;
}

export interface Graph {
  readonly name: string;
  /**
   * An input that is also an initializer is a default that the caller may override. (Files of IR below 4 list
   * every initializer among the inputs; the reader drops those entries and the writer adds them again.)
   */
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  /** In topological order. */
  readonly nodes: readonly Node[];
  readonly initializers: ReadonlyMap<string, TensorData>;
  readonly sparseInitializers: ReadonlyMap<string, SparseTensor>;
  /** Declared types of values that are neither input nor output. */
  readonly valueInfo: ReadonlyMap<string, Value>;
  readonly notes?: Notes;
}

export interface Node {
  readonly op: string;
  readonly domain: string;
  readonly overload: string;
  readonly name: string;
  /** Value names; `""` is an optional input that is not given. */
  readonly inputs: readonly string[];
  /** Value names; `""` is an output that nobody uses. */
  readonly outputs: readonly string[];
  readonly attrs: ReadonlyMap<string, Attr>;
  readonly notes?: Notes;
}

export interface FunctionDef {
  readonly name: string;
  readonly domain: string;
  readonly overload: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Names of the attributes that a call must give. */
  readonly attributes: readonly string[];
  /** Attributes that a call may give, with their defaults. */
  readonly attributeDefaults: ReadonlyMap<string, Attr>;
  readonly nodes: readonly Node[];
  readonly opsets: ReadonlyMap<string, number>;
  readonly valueInfo: ReadonlyMap<string, Value>;
  readonly notes?: Notes;
}

/** A graph input, output or declared intermediate value. */
export interface Value {
  readonly name: string;
  readonly type?: ValueType;
  readonly notes?: Notes;
}

/** A size, a symbol (equal symbols are equal sizes), or null when unknown. */
export type Dim = number | string | null;

export interface TensorType {
  readonly kind: "tensor" | "sparse";
  /** null: not declared. */
  readonly dtype: DType | null;
  /** Absent: the rank is unknown. */
  readonly shape?: readonly Dim[];
  /** The type as the file has it, when it says more than the fields above (denotations). */
  readonly encoded?: Uint8Array;
}

export type ValueType =
  | TensorType
  | { readonly kind: "sequence"; readonly element: ValueType | null; readonly encoded?: Uint8Array }
  | { readonly kind: "optional"; readonly element: ValueType | null; readonly encoded?: Uint8Array }
  | {
      readonly kind: "map";
      readonly key: DType | null;
      readonly value: ValueType | null;
      readonly encoded?: Uint8Array;
    }
  | {
      readonly kind: "opaque";
      readonly domain: string;
      readonly name: string;
      readonly encoded?: Uint8Array;
    };

/** What each attribute kind holds. A string that is no UTF-8 stays bytes. */
interface AttrValues {
  float: number;
  int: Int;
  string: string | Uint8Array;
  tensor: TensorData;
  graph: Graph;
  floats: readonly number[];
  ints: readonly Int[];
  strings: readonly (string | Uint8Array)[];
  tensors: readonly TensorData[];
  graphs: readonly Graph[];
  sparse: SparseTensor;
  sparses: readonly SparseTensor[];
  type: ValueType;
  types: readonly ValueType[];
}

export type AttrKind = keyof AttrValues;

export type AttrOf<K extends AttrKind> = {
  readonly kind: K;
  readonly value: AttrValues[K];
  readonly notes?: Notes;
};

/** In a function's body: the value that the call gives for the function's attribute `to`. */
export interface AttrReference {
  readonly kind: "reference";
  readonly to: string;
  readonly of: AttrKind;
  readonly notes?: Notes;
}

export type Attr = { [K in AttrKind]: AttrOf<K> }[AttrKind] | AttrReference;

/** A weight: dtype, dims and where its elements are. `readTensor` turns it into a Tensor, `tensorData` makes one. */
export interface TensorData {
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly payload: Payload;
  /** The tensor's own name; of an initializer the key in the graph counts. */
  readonly name: string;
  readonly notes?: Notes;
}

export type Payload =
  /** Dense little-endian bytes. */
  | { readonly in: "raw"; readonly bytes: Chunk }
  /** The packed payload of a typed field of TensorProto. */
  | { readonly in: TypedField; readonly bytes: Chunk }
  | { readonly in: "stringData"; readonly strings: readonly Uint8Array[] }
  | {
      readonly in: "external";
      /** As in the file: location, offset, length, checksum. */
      readonly entries: ReadonlyMap<string, string>;
      /** Where the bytes are; absent when the reader was told not to look, or had no folder to look in. */
      readonly range?: Chunk;
    };

export type TypedField = "floatData" | "int32Data" | "int64Data" | "doubleData" | "uint64Data";

export interface SparseTensor {
  readonly values: TensorData;
  readonly indices: TensorData;
  readonly dims: readonly number[];
  readonly notes?: Notes;
}

/** The key of a local function, and of the nodes that call it. */
export function functionKey(of: {
  readonly domain: string;
  readonly overload: string;
  readonly name?: string;
  readonly op?: string;
}): string {
  return `${of.domain}:${of.op ?? of.name ?? ""}:${of.overload}`;
}

/** `ai.onnx` and the empty domain are the same. */
export function normalizeDomain(domain: string): string {
  return domain === "ai.onnx" ? "" : domain;
}

/** The graphs that a node holds as attributes (If, Loop, Scan, SequenceMap). */
export function subgraphsOf(node: Node): Graph[] {
  const graphs: Graph[] = [];
  for (const attr of node.attrs.values()) {
    if (attr.kind === "graph") graphs.push(attr.value);
    else if (attr.kind === "graphs") graphs.push(...attr.value);
  }
  return graphs;
}

/** The names without the absent ones at the end; the array itself when there are none. */
export function withoutTrailingEmpty(names: readonly string[]): readonly string[] {
  let length = names.length;
  while (length > 0 && names[length - 1] === "") length--;
  return length === names.length ? names : names.slice(0, length);
}

const NO_ATTRS: ReadonlyMap<string, Attr> = new Map();

/** A node from what is not empty. */
export function makeNode(parts: Partial<Node> & Pick<Node, "op" | "inputs" | "outputs">): Node {
  return Object.freeze({
    op: parts.op,
    domain: parts.domain ?? "",
    overload: parts.overload ?? "",
    name: parts.name ?? "",
    inputs: parts.inputs,
    outputs: parts.outputs,
    attrs: parts.attrs ?? NO_ATTRS,
    ...(parts.notes === undefined ? {} : { notes: parts.notes }),
  });
}

/** A graph from what is not empty. */
export function makeGraph(parts: Partial<Graph>): Graph {
  return Object.freeze({
    name: parts.name ?? "main",
    inputs: parts.inputs ?? [],
    outputs: parts.outputs ?? [],
    nodes: parts.nodes ?? [],
    initializers: parts.initializers ?? new Map(),
    sparseInitializers: parts.sparseInitializers ?? new Map(),
    valueInfo: parts.valueInfo ?? new Map(),
    ...(parts.notes === undefined ? {} : { notes: parts.notes }),
  });
}

/** Attributes with every graph mapped; the map itself when nothing changed. */
export function mapGraphs(
  attrs: ReadonlyMap<string, Attr>,
  change: (graph: Graph) => Graph,
): ReadonlyMap<string, Attr> {
  let changed: Map<string, Attr> | undefined;
  for (const [name, attr] of attrs) {
    let next = attr;
    if (attr.kind === "graph") {
      const value = change(attr.value);
      if (value !== attr.value) next = Object.freeze({ ...attr, value });
    } else if (attr.kind === "graphs") {
      const value = attr.value.map(change);
      if (value.some((graph, i) => graph !== attr.value[i])) next = Object.freeze({ ...attr, value });
    }
    if (next !== attr) (changed ??= new Map(attrs)).set(name, next);
  }
  return changed ?? attrs;
}
