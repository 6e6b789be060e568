/** ONNX messages written byte by byte (onnx.proto), for files that the library's own writer would never make. */

/** A varint, a length-delimited field, or a 32-bit float. */
export type Value = number | bigint | string | Uint8Array | { readonly float: number };

/** One record of a message: field number and value. */
export type Record = readonly [field: number, value: Value];

/** An encoded message. Records that are undefined are left out. */
export function message(...records: readonly (Record | undefined)[]): Uint8Array {
  return Buffer.concat(records.flatMap((record) => (record === undefined ? [] : encodeRecord(...record))));
}

function encodeRecord(field: number, value: Value): Uint8Array[] {
  if (typeof value === "number" || typeof value === "bigint") return [varint(field << 3), varint(value)];
  if (typeof value === "string" || value instanceof Uint8Array) {
    const bytes = typeof value === "string" ? Buffer.from(value) : value;
    return [varint((field << 3) | 2), varint(bytes.length), bytes];
  }
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value.float);
  return [varint((field << 3) | 5), bytes];
}

/** Negative numbers take ten bytes, as int64 fields do. */
export function varint(value: number | bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest === 0n ? low : low | 0x80);
  } while (rest !== 0n);
  return Uint8Array.from(bytes);
}

export const FLOAT = 1;
export const INT32 = 6;
export const INT64 = 7;
export const BOOL = 9;

export interface TensorParts {
  readonly name?: string;
  readonly dims?: readonly (number | bigint)[];
  readonly dtype?: number;
  readonly raw?: Uint8Array;
  readonly floatData?: Uint8Array;
  /** Entries of external data, which is then where the data is. */
  readonly external?: Readonly<{ [key: string]: string }>;
}

/** TensorProto. */
export function tensorProto(parts: TensorParts): Uint8Array {
  const external = Object.entries(parts.external ?? {});
  return message(
    ...(parts.dims ?? []).map((dim): Record => [1, dim]),
    [2, parts.dtype ?? FLOAT],
    parts.floatData && [4, parts.floatData],
    parts.name === undefined ? undefined : [8, parts.name],
    parts.raw && [9, parts.raw],
    ...external.map(([key, value]): Record => [13, message([1, key], [2, value])]),
    external.length > 0 ? [14, 1] : undefined,
  );
}

/** An int64 vector, or a scalar. */
export function int64s(name: string, values: readonly (number | bigint)[], scalar = false): Uint8Array {
  const raw = Buffer.from(BigInt64Array.from(values, BigInt).buffer);
  return tensorProto({ name, dims: scalar ? [] : [values.length], dtype: INT64, raw });
}

export function floats(name: string, dims: readonly number[], values: readonly number[]): Uint8Array {
  return tensorProto({ name, dims, dtype: FLOAT, raw: Buffer.from(Float32Array.from(values).buffer) });
}

export function bool(name: string, value: boolean): Uint8Array {
  return tensorProto({ name, dims: [], dtype: BOOL, raw: Uint8Array.of(value ? 1 : 0) });
}

/** An attribute's value: an int, ints, a string, or what its key says. */
export type AttrValue =
  | number
  | bigint
  | string
  | readonly (number | bigint)[]
  | { readonly tensor: Uint8Array }
  | { readonly graph: Uint8Array };

function attribute(name: string, value: AttrValue): Uint8Array {
  if (typeof value === "number" || typeof value === "bigint") return message([1, name], [3, value], [20, 2]);
  if (typeof value === "string") return message([1, name], [4, value], [20, 3]);
  if ("tensor" in value) return message([1, name], [5, value.tensor], [20, 4]);
  if ("graph" in value) return message([1, name], [6, value.graph], [20, 5]);
  return message([1, name], ...value.map((item): Record => [8, item]), [20, 7]);
}

export interface NodeParts {
  readonly attrs?: Readonly<{ [name: string]: AttrValue }>;
  readonly domain?: string;
  readonly name?: string;
}

/** NodeProto. */
export function node(
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  parts: NodeParts = {},
): Uint8Array {
  return message(
    ...inputs.map((name): Record => [1, name]),
    ...outputs.map((name): Record => [2, name]),
    parts.name === undefined ? undefined : [3, parts.name],
    [4, op],
    ...Object.entries(parts.attrs ?? {}).map(([name, value]): Record => [5, attribute(name, value)]),
    parts.domain === undefined ? undefined : [7, parts.domain],
  );
}

/** ValueInfoProto of a tensor; without dims its rank is not declared. */
export function value(name: string, dtype = FLOAT, dims?: readonly (number | string)[]): Uint8Array {
  const shape =
    dims &&
    message(...dims.map((dim): Record => [1, message(typeof dim === "number" ? [1, dim] : [2, dim])]));
  return message([1, name], [2, message([1, message([1, dtype], shape && [2, shape])])]);
}

export interface GraphParts {
  readonly nodes?: readonly Uint8Array[];
  readonly inputs?: readonly Uint8Array[];
  readonly outputs?: readonly Uint8Array[];
  readonly initializers?: readonly Uint8Array[];
}

/** GraphProto. */
export function graphProto(parts: GraphParts): Uint8Array {
  return message(
    ...(parts.nodes ?? []).map((item): Record => [1, item]),
    [2, "main"],
    ...(parts.initializers ?? []).map((item): Record => [5, item]),
    ...(parts.inputs ?? []).map((item): Record => [11, item]),
    ...(parts.outputs ?? []).map((item): Record => [12, item]),
  );
}

/** FunctionProto of the domain `local`. */
export function functionProto(
  name: string,
  inputs: readonly string[],
  outputs: readonly string[],
  nodes: readonly Uint8Array[],
): Uint8Array {
  return message(
    [1, name],
    ...inputs.map((item): Record => [4, item]),
    ...outputs.map((item): Record => [5, item]),
    ...nodes.map((item): Record => [7, item]),
    [9, message([1, ""], [2, 20])],
    [9, message([1, "local"], [2, 1])],
    [10, "local"],
  );
}

export interface ModelParts extends GraphParts {
  /** Takes the place of the parts of a graph. */
  readonly graph?: Uint8Array;
  readonly functions?: readonly Uint8Array[];
  readonly opset?: number;
  readonly irVersion?: number;
  /** Imported at version 1. */
  readonly domains?: readonly string[];
}

/** ModelProto. */
export function modelProto(parts: ModelParts): Uint8Array {
  return message(
    [1, parts.irVersion ?? 10],
    [7, parts.graph ?? graphProto(parts)],
    [8, message([2, parts.opset ?? 20])],
    ...(parts.domains ?? []).map((domain): Record => [8, message([1, domain], [2, 1])]),
    ...(parts.functions ?? []).map((item): Record => [25, item]),
  );
}
