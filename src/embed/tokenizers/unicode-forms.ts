/** The normal forms of Unicode, as the reference has them. */
import type { Line, Normalizer } from "./line.js";
import { REFERENCE_UNICODE, setOf } from "./reference-unicode.js";
import { Rewriting } from "./rewriting.js";

type Form = "NFC" | "NFD" | "NFKC" | "NFKD";

/** Characters that the reference's tables do not know: they stay, and neither reorder nor compose. */
function strangers(form: Form): RegExp {
  const { notDecomposed, notCompatible, notCombining } = REFERENCE_UNICODE;
  const texts = [notDecomposed, notCombining, ...(form === "NFKC" || form === "NFKD" ? [notCompatible] : [])];
  return new RegExp(`(${texts.map(setOf).join("|")})`, "v");
}

export function unicodeForm(form: Form): Normalizer {
  const apart = strangers(form);
  const anyApart = new RegExp(apart.source, "v");
  const made = (text: string): string => {
    const whole = text.normalize(form);
    if (!anyApart.test(text) && !anyApart.test(whole)) return whole;
    return text
      .split(apart)
      .map((piece, i) => (i % 2 === 1 ? piece : uncomposed(piece.normalize(form), anyApart)))
      .join("");
  };
  return (source, out) => {
    const { units, length } = source;
    for (let i = 0; i < length; ) {
      let end = i;
      while (end < length && units[end]! < 0x80) end++;
      // The last ASCII character may take a mark that follows.
      if (end < length && end > i) end--;
      if (end > i) {
        out.copy(source, i, end);
        i = end;
        if (i === length) break;
      }
      end = i + 1;
      while (end < length && units[end]! >= 0x80) end++;
      const text = source.text(i, end);
      const whole = made(text);
      if (whole === text) out.copy(source, i, end);
      else if (!out.aligned) out.replace(whole, source, i, end);
      else writeAligned(text, form, apart, source, i, out);
      i = end;
    }
  };
}

/** Without the compositions that the reference does not know. */
function uncomposed(text: string, strange: RegExp): string {
  return strange.test(text)
    ? [...text].map((one) => (strange.test(one) ? one.normalize("NFD") : one)).join("")
    : text;
}

type Change = readonly [character: string, change: number];

function writeAligned(text: string, form: Form, apart: RegExp, source: Line, start: number, out: Line): void {
  const rewriting = new Rewriting();
  text.split(apart).forEach((piece, i) => {
    if (i % 2 === 1) rewriting.put(piece, 0);
    else {
      const parts = decomposed(piece, form === "NFC" || form === "NFD" ? "NFD" : "NFKD");
      const whole = form === "NFC" || form === "NFKC" ? composed(parts, apart) : parts;
      for (const [character, change] of whole) rewriting.put(character, change);
    }
  });
  rewriting.write(source, start, out);
}

function decomposed(text: string, form: "NFD" | "NFKD"): readonly Change[] {
  const made: Change[] = [];
  let marks: Change[] = [];
  const flush = (): void => {
    if (marks.length > 1) {
      // Marks are put in order; equal ones keep theirs.
      const places = new Map<string, Change[]>();
      for (const mark of marks) {
        const same = places.get(mark[0]);
        if (same === undefined) places.set(mark[0], [mark]);
        else same.push(mark);
      }
      for (const same of places.values()) same.reverse();
      for (const one of marks
        .map(([mark]) => mark)
        .join("")
        .normalize("NFD"))
        made.push(places.get(one)!.pop()!);
    } else made.push(...marks);
    marks = [];
  };
  for (const character of text) {
    let first = true;
    for (const part of character.normalize(form)) {
      const change: Change = [part, first ? 0 : 1];
      first = false;
      if (isReordered(part)) marks.push(change);
      else {
        flush();
        made.push(change);
      }
    }
  }
  flush();
  return made;
}

/** Section 3.11 of the Unicode standard, with the changes of what is composed added up. */
function composed(parts: readonly Change[], strange: RegExp): readonly Change[] {
  const made: Change[] = [];
  let base: Change | undefined;
  let behind: Change[] = [];
  const flush = (): void => {
    if (base !== undefined) made.push(base);
    made.push(...behind);
    behind = [];
  };
  for (const part of parts) {
    const [character, change] = part;
    const starts = !isReordered(character);
    if (base === undefined) {
      if (starts) base = part;
      else made.push(part);
      continue;
    }
    const last = behind.at(-1)?.[0];
    const blocked = last !== undefined && (starts || sameClass(last, character));
    const joined = blocked ? undefined : composition(base[0], character, strange);
    if (joined !== undefined) base = [joined, base[1] + change - 1];
    else if (starts) {
      flush();
      base = part;
    } else behind.push(part);
  }
  flush();
  return made;
}

function composition(base: string, mark: string, strange: RegExp): string | undefined {
  const joined = (base + mark).normalize("NFC");
  const one = String.fromCodePoint(joined.codePointAt(0)!);
  return joined === one && !strange.test(one) ? joined : undefined;
}

/** Of two marks in order, whether they are of one combining class. */
function sameClass(first: string, second: string): boolean {
  return (second + first).normalize("NFD") === second + first;
}

const reordered = new Map<string, boolean>();
const MOST_REMEMBERED = 20_000;

/** Whether a character's combining class is not 0: it moves before U+0345, whose class is the highest. */
function isReordered(character: string): boolean {
  if (character < "\u0300") return false;
  if (character === "\u0345") return true;
  let known = reordered.get(character);
  if (known === undefined) {
    known = !`\u0345${character}`.normalize("NFD").startsWith("\u0345");
    if (reordered.size >= MOST_REMEMBERED) reordered.clear();
    reordered.set(character, known);
  }
  return known;
}
