/** Value types ↔ TypeProto, and their printed form. */
import { DTYPES, dtypeInfo } from "../tensor/core.js";
import { decode } from "./decode.js";
import { encode } from "./encode.js";
import type { Dim, ValueType } from "./graph.js";
import {
  DIM,
  ELEMENT_TYPE,
  MAP_TYPE,
  make,
  OPAQUE_TYPE,
  SHAPE,
  type ShapeProto,
  TENSOR_TYPE,
  TYPE,
  type TypeProto,
} from "./proto.js";
import { BytesSource, type Chunk, readRange } from "./source.js";

/** The message of a type. A type that was read with more than the plain form says goes out as it came. */
export function typeToProto(type: ValueType): TypeProto {
  if (type.encoded !== undefined) return decodeType(type.encoded);
  switch (type.kind) {
    case "tensor":
    case "sparse":
      if (type.kind === "tensor" && type.dtype === null && type.shape === undefined) return make(TYPE, {});
      return make(TYPE, {
        [type.kind]: make(TENSOR_TYPE, {
          elementType: type.dtype === null ? undefined : DTYPES[type.dtype].onnx,
          shape: type.shape === undefined ? undefined : shapeToProto(type.shape),
        }),
      });
    case "sequence":
    case "optional":
      return make(TYPE, {
        [type.kind]: make(ELEMENT_TYPE, {
          elementType: type.element === null ? undefined : typeToProto(type.element),
        }),
      });
    case "map":
      return make(TYPE, {
        map: make(MAP_TYPE, {
          keyType: type.key === null ? undefined : DTYPES[type.key].onnx,
          valueType: type.value === null ? undefined : typeToProto(type.value),
        }),
      });
    case "opaque":
      return make(TYPE, { opaque: make(OPAQUE_TYPE, { domain: type.domain, name: type.name }) });
  }
}

function shapeToProto(shape: readonly Dim[]): ShapeProto {
  return make(SHAPE, {
    dims: shape.map((dim) =>
      make(DIM, typeof dim === "number" ? { value: dim } : dim === null ? {} : { param: dim }),
    ),
  });
}

function decodeType(bytes: Uint8Array): TypeProto {
  const steps = decode(new BytesSource(bytes), TYPE);
  let step = steps.next();
  while (step.done !== true) step = steps.next();
  return step.value;
}

/** The encoded message when it holds denotations or unknown fields, which the plain form leaves out. */
export function encodeIfRicher(proto: TypeProto): Uint8Array | undefined {
  return isRicher(proto) ? concat(encode(proto, TYPE).chunks) : undefined;
}

function isRicher(proto: TypeProto | undefined): boolean {
  if (proto === undefined) return false;
  if (proto.denotation !== undefined || proto.extra.length > 0) return true;
  const { tensor, sparse, sequence, optional, map, opaque } = proto;
  for (const message of [tensor, sparse, sequence, optional, map, opaque]) {
    if (message !== undefined && message.extra.length > 0) return true;
  }
  const shape = tensor?.shape ?? sparse?.shape;
  if (shape !== undefined) {
    if (shape.extra.length > 0) return true;
    if (shape.dims.some((dim) => dim.denotation !== undefined || dim.extra.length > 0)) return true;
  }
  return isRicher(sequence?.elementType) || isRicher(optional?.elementType) || isRicher(map?.valueType);
}

/** All bytes of a chunk list in one array; ranges are read. */
export function concat(chunks: readonly Chunk[]): Uint8Array {
  if (chunks.length === 1 && chunks[0] instanceof Uint8Array) return chunks[0];
  const parts = chunks.map((chunk) => (chunk instanceof Uint8Array ? chunk : readRange(chunk)));
  const target = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    target.set(part, at);
    at += part.byteLength;
  }
  return target;
}

/** `f32[batch, 3]`, `seq(i64[?])`, `map(str, f32[])`; an unknown rank is `f32[…]`. */
export function formatType(type: ValueType | undefined): string {
  if (type === undefined) return "?";
  switch (type.kind) {
    case "tensor":
    case "sparse": {
      const dtype = type.dtype === null ? "?" : dtypeInfo(type.dtype).short;
      const shape = type.shape === undefined ? "…" : type.shape.map((dim) => dim ?? "?").join(", ");
      return `${type.kind === "sparse" ? "sparse " : ""}${dtype}[${shape}]`;
    }
    case "sequence":
      return `seq(${formatType(type.element ?? undefined)})`;
    case "optional":
      return `optional(${formatType(type.element ?? undefined)})`;
    case "map": {
      const key = type.key === null ? "?" : dtypeInfo(type.key).short;
      return `map(${key}, ${formatType(type.value ?? undefined)})`;
    }
    case "opaque":
      return `opaque(${type.domain}:${type.name})`;
  }
}
