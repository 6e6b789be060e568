/** Attribute kinds: one table ties each kind to its code and field in AttributeProto. */
import type { AttrKind } from "./graph.js";
import type { AttributeProto } from "./proto.js";

interface AttrRow {
  /** `AttributeProto.AttributeType`. */
  readonly code: number;
  readonly field: Exclude<keyof AttributeProto, "extra">;
}

export const ATTR_KINDS: { readonly [K in AttrKind]: AttrRow } = {
  float: { code: 1, field: "f" },
  int: { code: 2, field: "i" },
  string: { code: 3, field: "s" },
  tensor: { code: 4, field: "t" },
  graph: { code: 5, field: "g" },
  floats: { code: 6, field: "floats" },
  ints: { code: 7, field: "ints" },
  strings: { code: 8, field: "strings" },
  tensors: { code: 9, field: "tensors" },
  graphs: { code: 10, field: "graphs" },
  sparse: { code: 11, field: "sparseTensor" },
  sparses: { code: 12, field: "sparseTensors" },
  type: { code: 13, field: "tp" },
  types: { code: 14, field: "typeProtos" },
};

export const ATTR_KIND_NAMES = Object.keys(ATTR_KINDS) as AttrKind[];

const BY_CODE = new Map(ATTR_KIND_NAMES.map((kind) => [ATTR_KINDS[kind].code, kind]));

export function attrKindOf(code: number): AttrKind | undefined {
  return BY_CODE.get(code);
}
