/** Types met: what two of them have in common, and what two statements about one value say together. */
import type { Dim, ValueType } from "../graph.js";
import { canonicalDim } from "./dim.js";

/** What holds for values of either type: dims and ranks that differ become unknown. undefined when the kinds differ. */
export function commonType(a: ValueType, b: ValueType): ValueType | undefined {
  if (a.kind === "opaque" || b.kind === "opaque" || a.kind !== b.kind) return undefined;
  if ((a.kind === "tensor" && b.kind === "tensor") || (a.kind === "sparse" && b.kind === "sparse")) {
    const dtype = a.dtype === b.dtype ? a.dtype : null;
    if (a.shape === undefined || b.shape === undefined || a.shape.length !== b.shape.length) {
      return { kind: a.kind, dtype };
    }
    const other = b.shape;
    return { kind: a.kind, dtype, shape: a.shape.map((dim, i) => (dim === other[i] ? dim : null)) };
  }
  if ((a.kind === "sequence" || a.kind === "optional") && (b.kind === "sequence" || b.kind === "optional")) {
    const element =
      a.element === null || b.element === null ? null : (commonType(a.element, b.element) ?? null);
    return { kind: a.kind, element };
  }
  return a;
}

/** Thrown by `mergeTypes`; the caller knows the value. */
export class TypeConflict {
  readonly what: string;

  constructor(what: string) {
    this.what = what;
  }
}

/**
 * What is declared and what follows, together: a number beats a symbol, a symbol beats nothing, and of two symbols
 * the one that follows is kept. Throws TypeConflict when they cannot both hold.
 */
export function mergeTypes(
  declared: ValueType | undefined,
  inferred: ValueType | undefined,
): ValueType | undefined {
  if (declared === undefined || inferred === undefined) return inferred ?? declared;
  if (declared.kind === "opaque" || inferred.kind === "opaque") return declared;
  if (declared.kind !== inferred.kind) throw new TypeConflict("kinds differ");
  if (declared.kind === "map" || inferred.kind === "map") return declared;
  if (declared.kind === "sequence" || declared.kind === "optional") {
    if (inferred.kind !== "sequence" && inferred.kind !== "optional") return declared;
    const element = mergeTypes(declared.element ?? undefined, inferred.element ?? undefined) ?? null;
    return { kind: declared.kind, element };
  }
  if (inferred.kind !== "tensor" && inferred.kind !== "sparse") return declared;
  if (declared.dtype !== null && inferred.dtype !== null && declared.dtype !== inferred.dtype) {
    throw new TypeConflict(`${declared.dtype} and ${inferred.dtype}`);
  }
  const dtype = declared.dtype ?? inferred.dtype;
  const shape = mergeShapes(declared.shape, inferred.shape);
  return shape === undefined ? { kind: declared.kind, dtype } : { kind: declared.kind, dtype, shape };
}

function mergeShapes(
  declared: readonly Dim[] | undefined,
  inferred: readonly Dim[] | undefined,
): readonly Dim[] | undefined {
  if (declared === undefined || inferred === undefined) return inferred ?? declared;
  if (declared.length !== inferred.length) {
    throw new TypeConflict(`ranks ${declared.length} and ${inferred.length}`);
  }
  return inferred.map((dim, i) => mergeDims(declared[i]!, dim));
}

function mergeDims(declared: Dim, inferred: Dim): Dim {
  if (declared === null || inferred === null) return inferred ?? canonicalDim(declared);
  if (typeof inferred === "number") {
    if (typeof declared === "number" && declared !== inferred) {
      throw new TypeConflict(`sizes ${declared} and ${inferred}`);
    }
    return inferred;
  }
  return typeof declared === "number" ? declared : inferred;
}
