/** Pre-tokenisers: each cuts the words of a line into shorter ones, and may rewrite them. */
import { classes, classOf, LETTER, NUMBER, PUNCTUATION, SPACE } from "./characters.js";
import { matchesOf, patternAt } from "./expression.js";
import { copyBytes, Line } from "./line.js";
import { countAt, flagAt, type Part, partsAt, textAt, typeOf, unsupported } from "./parts.js";
import { REFERENCE_UNICODE, rangesOf, WORD_CHARACTERS } from "./reference-unicode.js";
import { ALONE, CUT, STARTS, WORD } from "./unit-rules.js";

/** Words as spans of a line; every step leaves its result here. */
export class Words {
  line = new Line();
  readonly #lines = [new Line(), new Line()] as const;
  starts = new Int32Array(256);
  ends = new Int32Array(256);
  count = 0;
  /** Words of the result so far; for those who write them into `room`. */
  made = 0;
  #nextStarts = new Int32Array(256);
  #nextEnds = new Int32Array(256);

  /** One word: the whole line. */
  reset(line: Line): void {
    this.line = line;
    this.count = 0;
    if (line.length === 0) return;
    this.starts[0] = 0;
    this.ends[0] = line.length;
    this.count = 1;
  }

  /** A word of the result. Empty ones are left out. */
  emit(start: number, end: number): void {
    if (start >= end) return;
    if (this.made === this.#nextStarts.length) this.room(1);
    this.#nextStarts[this.made] = start;
    this.#nextEnds[this.made++] = end;
  }

  /** Where the words of the result start and end, with room for so many more from `made` on. */
  room(count: number): readonly [starts: Int32Array, ends: Int32Array] {
    const needed = this.made + count;
    if (needed > this.#nextStarts.length) {
      const size = Math.max(needed, 2 * this.#nextStarts.length);
      const starts = new Int32Array(size);
      const ends = new Int32Array(size);
      starts.set(this.#nextStarts);
      ends.set(this.#nextEnds);
      this.#nextStarts = starts;
      this.#nextEnds = ends;
    }
    return [this.#nextStarts, this.#nextEnds];
  }

  /** Cuts every word by `cut`, which emits its parts. */
  cut(cut: (line: Line, start: number, end: number) => void): void {
    for (let i = 0; i < this.count; i++) cut(this.line, this.starts[i]!, this.ends[i]!);
    this.#swap();
  }

  /** Writes every word anew into another line; `write` appends it there. */
  rewrite(write: (source: Line, start: number, end: number, out: Line) => void): void {
    const out = this.line === this.#lines[0] ? this.#lines[1] : this.#lines[0];
    out.reset(this.line.aligned);
    out.atStart = this.line.atStart;
    for (let i = 0; i < this.count; i++) {
      const start = out.length;
      write(this.line, this.starts[i]!, this.ends[i]!, out);
      this.emit(start, out.length);
    }
    this.line = out;
    this.#swap();
  }

  #swap(): void {
    const { starts, ends } = this;
    this.starts = this.#nextStarts;
    this.ends = this.#nextEnds;
    this.count = this.made;
    this.#nextStarts = starts;
    this.#nextEnds = ends;
    this.made = 0;
  }
}

export type PreTokenizer = (words: Words) => void;

export interface PreTokenization {
  readonly steps: readonly PreTokenizer[];
  /** The model reads words as UTF-8 bytes. */
  readonly byteLevel: boolean;
  /** A step asks whether a word opens the text, which only places in the text tell once it is normalised. */
  readonly asksPlaces: boolean;
  /** All of it, where it looks at one unit at a time. */
  readonly local: LocalCut | undefined;
}

/** How a text is cut by looking at one unit at a time. */
export interface LocalCut {
  /** What becomes of a unit, surrogates excepted. */
  rule(unit: number): number;
  /** A unit that is put before the first word, or before every word that does not begin with it. */
  readonly opening: { readonly unit: number; readonly everyWord: boolean } | undefined;
}

type Behavior = "Removed" | "Isolated" | "MergedWithPrevious" | "MergedWithNext" | "Contiguous";
const BEHAVIORS: readonly string[] = [
  "Removed",
  "Isolated",
  "MergedWithPrevious",
  "MergedWithNext",
  "Contiguous",
] satisfies Behavior[];

function behaviorAt(part: Part, otherwise?: Behavior): Behavior {
  const given = textAt(part, "behavior", otherwise);
  if (!BEHAVIORS.includes(given)) throw unsupported(`behavior ${given}`);
  return given as Behavior;
}

const KINDS: Readonly<Record<string, (part: Part) => readonly PreTokenizer[]>> = {
  BertPreTokenizer: () => [(words) => words.cut((line, start, end) => cutBert(words, line, start, end))],
  Whitespace: () => [
    splitBy(new RegExp(`${WORD_CHARACTERS}+|[^${WORD_CHARACTERS}\\p{White_Space}]+`, "gv"), "Removed", true),
  ],
  WhitespaceSplit: () => [(words) => words.cut((line, start, end) => cutSpaces(words, line, start, end))],
  Punctuation: (part) => [
    byCodePoint((point) => (classOf(point) & PUNCTUATION) !== 0, behaviorAt(part, "Isolated")),
  ],
  Digits: (part) => [
    byCodePoint(isDigit, flagAt(part, "individual_digits", false) ? "Isolated" : "Contiguous"),
  ],
  CharDelimiterSplit: (part) => {
    const delimiter = textAt(part, "delimiter").codePointAt(0);
    return [byCodePoint((point) => point === delimiter, "Removed")];
  },
  Split: (part) => [splitBy(patternAt(part, "pattern"), behaviorAt(part), flagAt(part, "invert", false))],
  FixedLength: (part) => [fixedLength(countAt(part, "length", 5))],
  Metaspace: (part) => metaspace(part),
  ByteLevel: (part) => {
    const steps: PreTokenizer[] = [];
    if (flagAt(part, "add_prefix_space", true)) steps.push(prefixSpace);
    if (flagAt(part, "use_regex", true))
      steps.push((words) => words.cut((line, start, end) => cutGpt2(words, line, start, end)));
    return steps;
  },
};

/** The steps of a pre-tokeniser of tokenizer.json. Throws TOKENIZER_UNSUPPORTED for one that is not known. */
export function preTokenization(part: Part | undefined, readsBytes: boolean): PreTokenization {
  const parts = part === undefined ? [] : flattened(part);
  const bytes = parts.findIndex((each) => typeOf(each) === "ByteLevel");
  // Bytes become characters of their own where another model, or a further rule, is to see those.
  const byteLevel = bytes !== -1 && bytes === parts.length - 1 && readsBytes;
  const steps = parts.flatMap((each) => {
    const kind = typeOf(each);
    const make = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined;
    if (make === undefined) throw unsupported(`pre-tokenizer ${kind}`);
    const made = make(each);
    return kind === "ByteLevel" && !byteLevel ? [...made, (words: Words) => words.rewrite(copyBytes)] : made;
  });
  return {
    steps,
    byteLevel,
    asksPlaces: parts.some((each) => typeOf(each) === "Metaspace" && each.prepend_scheme === "first"),
    local: localCut(parts),
  };
}

const bySpaces: LocalCut = {
  rule: (unit) => (classOf(unit) & SPACE ? CUT : WORD | unit),
  opening: undefined,
};

/** By the kinds of the steps. */
const LOCAL: Readonly<Record<string, (last: Part) => LocalCut | undefined>> = {
  BertPreTokenizer: () => ({
    rule: (unit) => (classOf(unit) & PUNCTUATION ? ALONE | unit : bySpaces.rule(unit)),
    opening: undefined,
  }),
  WhitespaceSplit: () => bySpaces,
  Metaspace: (part) => {
    const { mark, scheme, split } = metaspaceAt(part);
    const begins = split ? STARTS : WORD;
    return {
      rule: (unit) => (unit === mark || unit === 0x20 ? begins | mark : WORD | unit),
      opening: scheme === "never" ? undefined : { unit: mark, everyWord: false },
    };
  },
  "WhitespaceSplit Metaspace": (part) => {
    const { mark, scheme, split } = metaspaceAt(part);
    if (scheme === "first") return undefined;
    const begins = split ? STARTS : WORD;
    return {
      rule: (unit) => (unit === mark ? begins | mark : bySpaces.rule(unit)),
      opening: scheme === "never" ? undefined : { unit: mark, everyWord: true },
    };
  },
};

function localCut(parts: readonly Part[]): LocalCut | undefined {
  const kinds = parts.map(typeOf).join(" ");
  return Object.hasOwn(LOCAL, kinds) ? LOCAL[kinds]!(parts.at(-1)!) : undefined;
}

function flattened(part: Part): readonly Part[] {
  return typeOf(part) === "Sequence" ? partsAt(part, "pretokenizers").flatMap(flattened) : [part];
}

const NEW_DIGITS = rangesOf(REFERENCE_UNICODE.newDigits);

function isDigit(point: number): boolean {
  return (
    (classOf(point) & NUMBER) !== 0 || NEW_DIGITS.some(([first, last]) => point >= first && point <= last)
  );
}

function cutBert(words: Words, line: Line, start: number, end: number): void {
  const flags = classes();
  const { units } = line;
  let from = start;
  for (let i = start; i < end; i++) {
    const unit = units[i]!;
    const size = (unit & 0xfc00) === 0xd800 ? 2 : 1;
    const flag = size === 1 ? flags[unit]! : classOf(line.codePoint(i));
    if ((flag & (SPACE | PUNCTUATION)) !== 0) {
      words.emit(from, i);
      from = i + size;
      if (flag & PUNCTUATION) words.emit(i, from);
    }
    i += size - 1;
  }
  words.emit(from, end);
}

function cutSpaces(words: Words, line: Line, start: number, end: number): void {
  const flags = classes();
  const { units } = line;
  let from = start;
  for (let i = start; i < end; i++) {
    if (!(flags[units[i]!]! & SPACE)) continue;
    words.emit(from, i);
    from = i + 1;
  }
  words.emit(from, end);
}

const OTHERS = 0;
const LETTERS = 1;
const NUMBERS = 2;
const SPACES = 3;
/** The first half of a character of two units. */
const HALF = 4;

let runKinds: Uint8Array | undefined;

/** By unit: the kind of run that it is part of. */
function runs(): Uint8Array {
  if (runKinds === undefined) {
    const flags = classes();
    runKinds = new Uint8Array(65536);
    for (let unit = 0; unit < 65536; unit++)
      runKinds[unit] = (unit & 0xfc00) === 0xd800 ? HALF : runOf(flags[unit]!);
  }
  return runKinds;
}

function runOf(flags: number): number {
  if (flags & LETTER) return LETTERS;
  if (flags & NUMBER) return NUMBERS;
  return flags & SPACE ? SPACES : OTHERS;
}

/** The pattern of GPT-2, scanned by hand. */
function cutGpt2(words: Words, line: Line, start: number, end: number): void {
  const kinds = runs();
  const { units } = line;
  const [starts, ends] = words.room(end - start);
  let count = words.made;
  for (let i = start; i < end; ) {
    const unit = units[i]!;
    starts[count] = i;
    if (unit === 0x27) {
      const size = contraction(units, i + 1, end);
      if (size > 0) {
        i += 1 + size;
        ends[count++] = i;
        continue;
      }
    }
    // A space goes with the run behind it.
    let at = unit === 0x20 && i + 1 < end ? i + 1 : i;
    let kind = kinds[units[at]!]!;
    if (kind === SPACES) {
      at = i + 1;
      while (at < end && kinds[units[at]!] === SPACES) at++;
      // The last space before something else is left for it.
      if (at < end && at - i > 1) at--;
      ends[count++] = at;
      i = at;
      continue;
    }
    if (kind === HALF) kind = runOf(classOf(line.codePoint(at)));
    for (; at < end; at++) {
      const here = kinds[units[at]!]!;
      if (here === kind) continue;
      if (here !== HALF || runOf(classOf(line.codePoint(at))) !== kind) break;
      at++;
    }
    ends[count++] = at;
    i = at;
  }
  words.made = count;
}

/** Units of `s`, `t`, `re`, `ve`, `m`, `ll` or `d` at `i`. */
function contraction(units: Uint16Array, i: number, end: number): number {
  if (i >= end) return 0;
  const first = units[i]!;
  if (first === 0x73 || first === 0x74 || first === 0x6d || first === 0x64) return 1;
  if (i + 1 >= end) return 0;
  const second = units[i + 1]!;
  if ((first === 0x72 || first === 0x76) && second === 0x65) return 2;
  return first === 0x6c && second === 0x6c ? 2 : 0;
}

function prefixSpace(words: Words): void {
  words.rewrite((source, start, end, out) => {
    if (source.units[start] !== 0x20) out.put(0x20, source, start, start + 1);
    out.copy(source, start, end);
  });
}

function fixedLength(length: number): PreTokenizer {
  return (words) =>
    words.cut((line, start, end) => {
      let from = start;
      let count = 0;
      for (let i = start; i < end; i++) {
        if ((line.units[i]! & 0xfc00) === 0xdc00) continue;
        if (count === length) {
          words.emit(from, i);
          from = i;
          count = 0;
        }
        count++;
      }
      words.emit(from, end);
    });
}

interface Metaspace {
  readonly mark: number;
  readonly scheme: string;
  readonly split: boolean;
}

function metaspaceAt(part: Part): Metaspace {
  const replacement = textAt(part, "replacement", "\u2581");
  if (replacement.length !== 1) throw unsupported(`Metaspace replacement ${replacement}`);
  const mark = replacement.charCodeAt(0);
  const legacy = part.add_prefix_space === false ? "never" : "always";
  const scheme = textAt(part, "prepend_scheme", legacy);
  if (!["always", "first", "never"].includes(scheme)) throw unsupported(`prepend_scheme ${scheme}`);
  return { mark, scheme, split: flagAt(part, "split", true) };
}

function metaspace(part: Part): readonly PreTokenizer[] {
  const { mark, scheme, split } = metaspaceAt(part);
  const steps: PreTokenizer[] = [
    (words) =>
      words.rewrite((source, start, end, out) => {
        const { units } = source;
        const opens = source.aligned ? source.from[start] === 0 : source.atStart && start === 0;
        const wanted = scheme === "always" || (scheme === "first" && opens);
        if (wanted && units[start] !== mark && units[start] !== 0x20) out.put(mark, source, start, start + 1);
        out.reserve(end - start);
        for (let i = start; i < end; i++) out.put(units[i] === 0x20 ? mark : units[i]!, source, i, i + 1);
      }),
  ];
  if (split) {
    steps.push((words) =>
      words.cut((line, start, end) => {
        let from = start;
        for (let i = start + 1; i < end; i++) {
          if (line.units[i] !== mark) continue;
          words.emit(from, i);
          from = i;
        }
        words.emit(from, end);
      }),
    );
  }
  return steps;
}

function byCodePoint(matches: (point: number) => boolean, behavior: Behavior): PreTokenizer {
  return (words) =>
    words.cut((line, start, end) => {
      const spans = new Spans(words, start, end, behavior);
      for (let i = start; i < end; ) {
        const point = line.codePoint(i);
        const size = point > 0xffff ? 2 : 1;
        if (matches(point)) spans.match(i, i + size);
        i += size;
      }
      spans.finish();
    });
}

function splitBy(pattern: RegExp, behavior: Behavior, invert: boolean): PreTokenizer {
  return (words) =>
    words.cut((line, start, end) => {
      const spans = new Spans(words, start, end, behavior, invert);
      for (const [from, to] of matchesOf(line.text(start, end), pattern))
        spans.match(start + from, start + to);
      spans.finish();
    });
}

/** Delimiters and what lies between them, put together as the behaviour says. */
class Spans {
  readonly #words: Words;
  readonly #end: number;
  readonly #behavior: Behavior;
  readonly #invert: boolean;
  readonly #parts: { start: number; end: number; delimiter: boolean }[] = [];
  #at: number;

  constructor(words: Words, start: number, end: number, behavior: Behavior, invert = false) {
    this.#words = words;
    this.#at = start;
    this.#end = end;
    this.#behavior = behavior;
    this.#invert = invert;
  }

  match(start: number, end: number): void {
    if (start > this.#at) this.#parts.push({ start: this.#at, end: start, delimiter: this.#invert });
    this.#parts.push({ start, end, delimiter: !this.#invert });
    this.#at = end;
  }

  finish(): void {
    if (this.#at < this.#end) this.#parts.push({ start: this.#at, end: this.#end, delimiter: this.#invert });
    const parts = this.#parts;
    const words = this.#words;
    switch (this.#behavior) {
      case "Removed":
        for (const part of parts) if (!part.delimiter) words.emit(part.start, part.end);
        return;
      case "Isolated":
        for (const part of parts) words.emit(part.start, part.end);
        return;
      case "Contiguous":
        for (let i = 0; i < parts.length; ) {
          let last = i;
          while (last + 1 < parts.length && parts[last + 1]!.delimiter === parts[i]!.delimiter) last++;
          words.emit(parts[i]!.start, parts[last]!.end);
          i = last + 1;
        }
        return;
      case "MergedWithPrevious":
        for (let i = 0; i < parts.length; i++) {
          const next = parts[i + 1];
          if (!parts[i]!.delimiter && next?.delimiter) words.emit(parts[i]!.start, parts[++i]!.end);
          else words.emit(parts[i]!.start, parts[i]!.end);
        }
        return;
      case "MergedWithNext":
        for (let i = 0; i < parts.length; i++) {
          const next = parts[i + 1];
          if (parts[i]!.delimiter && next !== undefined && !next.delimiter)
            words.emit(parts[i]!.start, parts[++i]!.end);
          else words.emit(parts[i]!.start, parts[i]!.end);
        }
    }
  }
}
