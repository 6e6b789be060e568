/** WebAssembly instructions for kernels, one row each: bytes, operand types, result (core specification 2.0, section 5.4). */

/** Types of values while assembling: the lanes of a v128 are part of its type. */
export type Type = "i32" | "i64" | "f32" | "f64" | "f32x4" | "f64x2" | "i32x4" | "i16x8" | "i8x16";

/** One byte, or the prefix of vector instructions and the number after it. */
type Opcode = number | readonly [prefix: 0xfc | 0xfd, number: number];

interface Row {
  readonly code: Opcode;
  readonly takes: readonly Type[];
  readonly gives: Type;
}

const row = <const T extends readonly Type[], R extends Type>(
  code: Opcode,
  takes: T,
  gives: R,
): { readonly code: Opcode; readonly takes: T; readonly gives: R } => ({ code, takes, gives });

const v = (number: number): Opcode => [0xfd, number];

/** Names are those of the text format; where an instruction serves several lane types, the type stands before it. */
export const INSTRUCTIONS = {
  "i32.eqz": row(0x45, ["i32"], "i32"),
  "i32.eq": row(0x46, ["i32", "i32"], "i32"),
  "i32.ne": row(0x47, ["i32", "i32"], "i32"),
  "i32.lt_u": row(0x49, ["i32", "i32"], "i32"),
  "i32.gt_u": row(0x4b, ["i32", "i32"], "i32"),
  "i32.le_u": row(0x4d, ["i32", "i32"], "i32"),
  "i32.ge_u": row(0x4f, ["i32", "i32"], "i32"),
  "i32.add": row(0x6a, ["i32", "i32"], "i32"),
  "i32.sub": row(0x6b, ["i32", "i32"], "i32"),
  "i32.mul": row(0x6c, ["i32", "i32"], "i32"),
  "i32.div_u": row(0x6e, ["i32", "i32"], "i32"),
  "i32.rem_u": row(0x70, ["i32", "i32"], "i32"),
  "i32.and": row(0x71, ["i32", "i32"], "i32"),
  "i32.or": row(0x72, ["i32", "i32"], "i32"),
  "i32.shl": row(0x74, ["i32", "i32"], "i32"),
  "i32.shr_u": row(0x76, ["i32", "i32"], "i32"),
  "i64.add": row(0x7c, ["i64", "i64"], "i64"),
  "i64.xor": row(0x85, ["i64", "i64"], "i64"),
  "i64.eqz": row(0x50, ["i64"], "i32"),
  "i64.ctz": row(0x7a, ["i64"], "i64"),
  "i64.popcnt": row(0x7b, ["i64"], "i64"),
  "i32.wrap_i64": row(0xa7, ["i64"], "i32"),
  "f32.add": row(0x92, ["f32", "f32"], "f32"),
  "f32.mul": row(0x94, ["f32", "f32"], "f32"),
  "f32.gt": row(0x5e, ["f32", "f32"], "i32"),
  "f64.add": row(0xa0, ["f64", "f64"], "f64"),
  "f64.mul": row(0xa2, ["f64", "f64"], "f64"),
  "f64.promote_f32": row(0xbb, ["f32"], "f64"),
  "f32.demote_f64": row(0xb6, ["f64"], "f32"),

  "f32x4.splat": row(v(0x13), ["f32"], "f32x4"),
  "f64x2.splat": row(v(0x14), ["f64"], "f64x2"),
  "i32x4.splat": row(v(0x11), ["i32"], "i32x4"),
  "f32x4.eq": row(v(0x41), ["f32x4", "f32x4"], "i32x4"),
  "f32x4.ne": row(v(0x42), ["f32x4", "f32x4"], "i32x4"),
  "f32x4.lt": row(v(0x43), ["f32x4", "f32x4"], "i32x4"),
  "f32x4.gt": row(v(0x44), ["f32x4", "f32x4"], "i32x4"),
  "f32x4.le": row(v(0x45), ["f32x4", "f32x4"], "i32x4"),
  "f32x4.ge": row(v(0x46), ["f32x4", "f32x4"], "i32x4"),
  "f32x4.abs": row(v(0xe0), ["f32x4"], "f32x4"),
  "f32x4.neg": row(v(0xe1), ["f32x4"], "f32x4"),
  "f32x4.sqrt": row(v(0xe3), ["f32x4"], "f32x4"),
  "f32x4.add": row(v(0xe4), ["f32x4", "f32x4"], "f32x4"),
  "f32x4.sub": row(v(0xe5), ["f32x4", "f32x4"], "f32x4"),
  "f32x4.mul": row(v(0xe6), ["f32x4", "f32x4"], "f32x4"),
  "f32x4.div": row(v(0xe7), ["f32x4", "f32x4"], "f32x4"),
  "f32x4.min": row(v(0xe8), ["f32x4", "f32x4"], "f32x4"),
  "f32x4.max": row(v(0xe9), ["f32x4", "f32x4"], "f32x4"),
  "f32x4.pmin": row(v(0xea), ["f32x4", "f32x4"], "f32x4"),
  "f32x4.pmax": row(v(0xeb), ["f32x4", "f32x4"], "f32x4"),
  "f32x4.nearest": row(v(0x6a), ["f32x4"], "f32x4"),
  "f32x4.convert_i32x4_s": row(v(0xfa), ["i32x4"], "f32x4"),
  "f64x2.promote_low_f32x4": row(v(0x5f), ["f32x4"], "f64x2"),
  "f32x4.demote_f64x2_zero": row(v(0x5e), ["f64x2"], "f32x4"),
  "f64x2.add": row(v(0xf0), ["f64x2", "f64x2"], "f64x2"),
  "f64x2.sub": row(v(0xf1), ["f64x2", "f64x2"], "f64x2"),
  "f64x2.mul": row(v(0xf2), ["f64x2", "f64x2"], "f64x2"),
  "f64x2.div": row(v(0xf3), ["f64x2", "f64x2"], "f64x2"),
  "i32x4.trunc_sat_f32x4_s": row(v(0xf8), ["f32x4"], "i32x4"),
  "i32x4.add": row(v(0xae), ["i32x4", "i32x4"], "i32x4"),
  "i32x4.sub": row(v(0xb1), ["i32x4", "i32x4"], "i32x4"),
  "i32x4.mul": row(v(0xb5), ["i32x4", "i32x4"], "i32x4"),
  "i32x4.shl": row(v(0xab), ["i32x4", "i32"], "i32x4"),
  "i32x4.shr_s": row(v(0xac), ["i32x4", "i32"], "i32x4"),
  "i32x4.dot_i16x8_s": row(v(0xba), ["i16x8", "i16x8"], "i32x4"),
  "i16x8.extend_low_i8x16_s": row(v(0x87), ["i8x16"], "i16x8"),
  "i16x8.extend_high_i8x16_s": row(v(0x88), ["i8x16"], "i16x8"),
  "i32x4.and": row(v(0x4e), ["i32x4", "i32x4"], "i32x4"),
  "i32x4.or": row(v(0x50), ["i32x4", "i32x4"], "i32x4"),
  "i32x4.any_true": row(v(0x53), ["i32x4"], "i32"),
  "f32x4.and": row(v(0x4e), ["f32x4", "i32x4"], "f32x4"),
  "f32x4.andnot": row(v(0x4f), ["f32x4", "i32x4"], "f32x4"),
  "f32x4.or": row(v(0x50), ["f32x4", "f32x4"], "f32x4"),
  /** Bits of the first where the mask has ones, else of the second. */
  "f32x4.bitselect": row(v(0x52), ["f32x4", "f32x4", "i32x4"], "f32x4"),
  "i32x4.reinterpret_f32x4": row([0xfd, -1], ["f32x4"], "i32x4"),
  "f32x4.reinterpret_i32x4": row([0xfd, -1], ["i32x4"], "f32x4"),
} as const satisfies Record<string, Row>;

export type Instruction = keyof typeof INSTRUCTIONS;
export type Takes<I extends Instruction> = (typeof INSTRUCTIONS)[I]["takes"];
export type Gives<I extends Instruction> = (typeof INSTRUCTIONS)[I]["gives"];

/** How a type is named in a function's signature and locals. */
export const VALUE_TYPES: { readonly [T in Type]: number } = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  f32x4: 0x7b,
  f64x2: 0x7b,
  i32x4: 0x7b,
  i16x8: 0x7b,
  i8x16: 0x7b,
};

/** Load and store of one value, and the alignment (log2 of bytes) that is promised: none, the hint has no effect on x64 or ARM64. */
export const LOADS: { readonly [T in Type]: Opcode } = {
  i32: 0x28,
  i64: 0x29,
  f32: 0x2a,
  f64: 0x2b,
  f32x4: v(0x00),
  f64x2: v(0x00),
  i32x4: v(0x00),
  i16x8: v(0x00),
  i8x16: v(0x00),
};

export const STORES: { readonly [T in Type]: Opcode } = {
  i32: 0x36,
  i64: 0x37,
  f32: 0x38,
  f64: 0x39,
  f32x4: v(0x0b),
  f64x2: v(0x0b),
  i32x4: v(0x0b),
  i16x8: v(0x0b),
  i8x16: v(0x0b),
};

/** Lane reads: the instruction, followed by the lane's number. */
export const EXTRACTS = {
  f32x4: { code: v(0x1f), gives: "f32" },
  f64x2: { code: v(0x21), gives: "f64" },
  i32x4: { code: v(0x1b), gives: "i32" },
} as const satisfies Partial<Record<Type, { code: Opcode; gives: Type }>>;

/** An opcode as bytes; an instruction that only renames a type has none. */
export function opcodeBytes(code: Opcode): number[] {
  if (typeof code === "number") return [code];
  return code[1] < 0 ? [] : [code[0], ...unsigned(code[1])];
}

/** LEB128 of a number from 0 to 2^32 - 1. */
export function unsigned(value: number): number[] {
  const bytes: number[] = [];
  do {
    const rest = Math.floor(value / 128);
    bytes.push((value % 128) | (rest > 0 ? 0x80 : 0));
    value = rest;
  } while (value > 0);
  return bytes;
}

/** Signed LEB128 of a 32-bit integer. */
export function signed(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; ) {
    const low = rest & 0x7f;
    rest >>= 7;
    const done = (rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0);
    bytes.push(done ? low : low | 0x80);
    if (done) return bytes;
  }
}
