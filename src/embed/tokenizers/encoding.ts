/** Encoding: tokens of one text or two, cut to a limit, with the special tokens of a template around them. */
import type { Template, TemplatePiece } from "./template.js";

/** The tokens of a text or a pair. */
export interface Encoding {
  readonly ids: Int32Array;
  /** 0 for the first text, 1 for the second, as the model's template has it. */
  readonly typeIds: Uint8Array;
  /** Two numbers a token, start and end in UTF-16 units of its text, if asked for; 0 and 0 for special tokens. */
  readonly offsets: Int32Array | undefined;
  /** Which text each token came from: 0, 1, or 255 for special tokens, if offsets are asked for. */
  readonly sequences: Uint8Array | undefined;
  /** Whether tokens were left out. */
  readonly truncated: boolean;
}

/** Tokens of one text, before special ones are put around them. */
export interface Sequence {
  readonly text: string;
  readonly ids: Int32Array;
  readonly offsets: Int32Array | undefined;
  /** White space that each token begins and ends with, where offsets leave it out. */
  readonly spaces: Int32Array | undefined;
}

/** With offsets that leave white space out, where the post-processor says so. */
export function trimmed(sequence: Sequence, template: Template): Sequence {
  const { text, spaces } = sequence;
  if (sequence.offsets === undefined || spaces === undefined) return sequence;
  const offsets = sequence.offsets.slice();
  for (let i = 0; 2 * i < offsets.length; i++) {
    let [start, end] = [offsets[2 * i]!, offsets[2 * i + 1]!];
    const after = spaces[2 * i + 1]!;
    let before = spaces[2 * i]!;
    // The one space that was put before the text is not counted.
    if (before === 1 && template.addPrefixSpace && (i === 0 || start === 0)) before = 0;
    for (; before > 0 && start < end; before--) start += text.codePointAt(start)! > 0xffff ? 2 : 1;
    start = Math.min(start, end);
    const back = steppedBack(text, end, after);
    if (back >= 0) end = Math.max(back, start);
    offsets[2 * i] = start;
    offsets[2 * i + 1] = end;
  }
  return { ...sequence, offsets };
}

/** The place `count` code points before `end`, or -1 where there are not as many. */
function steppedBack(text: string, end: number, count: number): number {
  let at = end;
  for (let i = 0; i < count; i++) {
    if (at <= 0) return -1;
    at -= at >= 2 && text.codePointAt(at - 2)! > 0xffff ? 2 : 1;
  }
  return at;
}

export function counted(pieces: readonly TemplatePiece[]): number {
  return pieces.reduce((sum, piece) => sum + piece.ids.length, 0);
}

export function kept(sequence: Sequence, count: number, left: boolean): Sequence {
  const { length } = sequence.ids;
  if (count >= length) return sequence;
  const start = left ? length - count : 0;
  return sliced(sequence, start, start + count);
}

export function sliced(sequence: Sequence, start: number, end: number): Sequence {
  return {
    text: sequence.text,
    ids: sequence.ids.subarray(start, end),
    offsets: sequence.offsets?.subarray(2 * start, 2 * end),
    spaces: sequence.spaces?.subarray(2 * start, 2 * end),
  };
}

const SPECIAL = 255;

/** The ids [from, to) of one text, without places, and `special` tokens of a template around them, or none. */
export function assembleOne(
  template: readonly TemplatePiece[],
  special: number,
  all: Int32Array,
  from: number,
  to: number,
  truncated: boolean,
): Encoding {
  const length = special + to - from;
  const ids = new Int32Array(length);
  const typeIds = new Uint8Array(length);
  let at = 0;
  for (const piece of template) {
    const start = at;
    if (piece.sequence !== undefined) for (let i = from; i < to; i++) ids[at++] = all[i]!;
    else if (special > 0) for (const id of piece.ids) ids[at++] = id;
    if (piece.typeId !== 0) typeIds.fill(piece.typeId, start, at);
  }
  return { ids, typeIds, offsets: undefined, sequences: undefined, truncated };
}

/** Sequences with the special tokens of a template around them. */
export function assemble(
  template: readonly TemplatePiece[],
  sequences: readonly Sequence[],
  addSpecial: boolean,
  spans: boolean,
  truncated: boolean,
): Encoding {
  const pieces = addSpecial ? template : template.filter((piece) => piece.sequence !== undefined);
  let length = 0;
  for (const piece of pieces)
    length += piece.sequence === undefined ? piece.ids.length : sequences[piece.sequence]!.ids.length;
  const ids = new Int32Array(length);
  const typeIds = new Uint8Array(length);
  const offsets = spans ? new Int32Array(2 * length) : undefined;
  const from = spans ? new Uint8Array(length).fill(SPECIAL) : undefined;
  let at = 0;
  for (const piece of pieces) {
    const sequence = piece.sequence === undefined ? undefined : sequences[piece.sequence]!;
    const count = sequence?.ids.length ?? piece.ids.length;
    ids.set(sequence?.ids ?? piece.ids, at);
    if (piece.typeId !== 0) typeIds.fill(piece.typeId, at, at + count);
    if (sequence?.offsets !== undefined) {
      offsets!.set(sequence.offsets, 2 * at);
      from!.fill(piece.sequence!, at, at + count);
    }
    at += count;
  }
  return { ids, typeIds, offsets, sequences: from, truncated };
}
