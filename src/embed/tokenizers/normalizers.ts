/** Normalisers: each rewrites a line into another, keeping where every unit came from. */
import { classes, classOf, IDEOGRAPH, NONSPACING, OTHER, SPACE } from "./characters.js";
import { charsmap } from "./charsmap.js";
import { matchesOf, patternAt } from "./expression.js";
import { copyBytes, Line, type Normalizer } from "./line.js";
import { flagAt, type Part, partsAt, textAt, typeOf, unsupported } from "./parts.js";
import { REFERENCE_UNICODE, rangesOf, setOf } from "./reference-unicode.js";
import { unicodeForm } from "./unicode-forms.js";
import { DROPPED, NEIGHBOURS, SET_APART } from "./unit-rules.js";

const KINDS: Readonly<Record<string, (part: Part) => readonly Normalizer[]>> = {
  Sequence: (part) => partsAt(part, "normalizers").flatMap(normalizersOf),
  BertNormalizer: (part) => {
    const lowercase = flagAt(part, "lowercase", true);
    return [
      bert({
        clean: flagAt(part, "clean_text", true),
        ideographs: flagAt(part, "handle_chinese_chars", true),
        strip: flagAt(part, "strip_accents", lowercase),
        lowercase,
      }),
    ];
  },
  Lowercase: () => [perCodePoint((text) => text.toLowerCase())],
  NFC: () => [unicodeForm("NFC")],
  NFD: () => [unicodeForm("NFD")],
  NFKC: () => [unicodeForm("NFKC")],
  NFKD: () => [unicodeForm("NFKD")],
  StripAccents: () => {
    const { notCombining, alsoCombining } = REFERENCE_UNICODE;
    const marks = new RegExp(`[[\\p{M}${setOf(alsoCombining)}]--${setOf(notCombining)}]`, "v");
    return [perCodePoint((text) => (marks.test(text) ? "" : text))];
  },
  Nmt: () => [perCodePoint(nmt)],
  Strip: (part) => [strip(flagAt(part, "strip_left", true), flagAt(part, "strip_right", true))],
  Prepend: (part) => [prepend(textAt(part, "prepend"))],
  Replace: (part) => [replaceAll(patternAt(part, "pattern"), textAt(part, "content"))],
  ByteLevel: () => [(source, out) => copyBytes(source, 0, source.length, out)],
  Precompiled: (part) => [charsmap(textAt(part, "precompiled_charsmap"))],
};

/** The steps of a normaliser of tokenizer.json. Throws TOKENIZER_UNSUPPORTED for one that is not known. */
export function normalizersOf(part: Part): readonly Normalizer[] {
  const kind = typeOf(part);
  const make = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined;
  if (make === undefined) throw unsupported(`normalizer ${kind}`);
  return make(part);
}

interface BertOptions {
  readonly clean: boolean;
  readonly ideographs: boolean;
  readonly strip: boolean;
  readonly lowercase: boolean;
}

/** All in one pass; where places are kept, the reference's steps one after the other, because marks change theirs. */
function bert(options: BertOptions): Normalizer {
  const whole = rangesOf(REFERENCE_UNICODE.notDecomposed);
  const atOnce = perCodePoint((text) => {
    const made = options.clean ? cleaned(text) : text;
    if (made !== text) return made;
    const point = text.codePointAt(0)!;
    const kept = whole.some(([first, last]) => point >= first && point <= last);
    const bare = options.strip ? withoutMarks(kept ? text : text.normalize("NFD")) : text;
    const lower = options.lowercase ? perPoint(bare, (one) => one.toLowerCase()) : bare;
    return options.ideographs && classOf(point) & IDEOGRAPH ? ` ${lower} ` : lower;
  });
  if (!options.strip) return atOnce;
  const inSteps = chained([
    perCodePoint((text) => {
      const made = options.clean ? cleaned(text) : text;
      return options.ideographs && classOf(text.codePointAt(0)!) & IDEOGRAPH ? ` ${made} ` : made;
    }),
    unicodeForm("NFD"),
    perCodePoint(withoutMarks),
    ...(options.lowercase ? [perCodePoint((text) => text.toLowerCase())] : []),
  ]);
  const normalizer: Normalizer = (source, out) => (out.aligned ? inSteps : atOnce)(source, out);
  return Object.assign(normalizer, { unit: atOnce.unit! });
}

/** Without characters that are none; white space as spaces. */
function cleaned(text: string): string {
  const point = text.codePointAt(0)!;
  const flags = classOf(point);
  const isKept = point === 9 || point === 10 || point === 13;
  if (!isKept && (point === 0 || point === 0xfffd || flags & OTHER)) return "";
  return flags & SPACE ? " " : text;
}

/** One normaliser behind the other, as one. */
function chained(steps: readonly Normalizer[]): Normalizer {
  const between = [new Line(), new Line()] as const;
  return (source, out) => {
    let current = source;
    steps.forEach((step, i) => {
      const target = i === steps.length - 1 ? out : between[i % 2]!;
      if (target !== out) target.reset(out.aligned);
      target.atStart = source.atStart;
      if (current.length > 0) step(current, target);
      current = target;
    });
  };
}

function withoutMarks(text: string): string {
  return perPoint(text, (one) => (classOf(one.codePointAt(0)!) & NONSPACING ? "" : one));
}

/** Case is changed a code point at a time: the final sigma is no special case in the reference. */
function perPoint(text: string, change: (one: string) => string): string {
  let out = "";
  for (const one of text) out += change(one);
  return out;
}

/** A normaliser that looks at one code point at a time; each is worked out once. */
function perCodePoint(change: (text: string) => string): Normalizer {
  // By unit: the unit that it becomes and 1, `TEXT` for what is in `texts`, 0 for what is not known yet.
  const known = new Int32Array(65536);
  const texts = new Map<number, string>();
  const MOST = 40_000;
  const learn = (point: number): void => {
    const made = change(String.fromCodePoint(point));
    if (point < 65536 && made.length === 1) {
      known[point] = made.charCodeAt(0) + 1;
      return;
    }
    if (point < 65536) known[point] = TEXT;
    // Those below are never forgotten: there is a bounded number of them.
    else if (texts.size > MOST) for (const each of texts.keys()) if (each > 65535) texts.delete(each);
    texts.set(point, made);
  };
  const textOf = (point: number): string => {
    if (!texts.has(point)) learn(point);
    return texts.get(point)!;
  };
  const normalizer: Normalizer = (source, out) => {
    const { units, length } = source;
    out.reserve(length + 16);
    for (let i = 0; i < length; ) {
      if (!out.aligned) {
        // Most text: units that become one other unit.
        const to = out.units;
        const end = Math.min(length, i + to.length - out.length);
        let at = out.length;
        for (; i < end; i++) {
          const made = known[units[i]!]!;
          if (made <= 0) break;
          to[at++] = made - 1;
        }
        out.length = at;
        if (i === length) return;
        if (i === end) {
          out.reserve(length - i);
          continue;
        }
      }
      const unit = units[i]!;
      if ((unit & 0xfc00) === 0xd800 && i + 1 < length) {
        out.replace(textOf(source.codePoint(i)), source, i, i + 2);
        i += 2;
        continue;
      }
      if (known[unit] === 0) learn(unit);
      const made = known[unit]!;
      if (made === TEXT) out.replace(texts.get(unit)!, source, i, i + 1);
      else out.put(made - 1, source, i, i + 1);
      i++;
    }
  };
  return Object.assign(normalizer, {
    unit(unit: number): number {
      if ((unit & 0xf800) === 0xd800) return NEIGHBOURS;
      const made = change(String.fromCharCode(unit));
      if (made.length === 1) return made.charCodeAt(0);
      if (made === "") return DROPPED;
      return made.length === 3 && made[0] === " " && made[2] === " "
        ? made.charCodeAt(1) | SET_APART
        : NEIGHBOURS;
    },
  });
}

const TEXT = -1;

/** What SentencePiece's normal form for machine translation drops and takes for spaces. */
function nmt(text: string): string {
  const point = text.codePointAt(0)!;
  const dropped =
    (point >= 0x1 && point <= 0x8) ||
    point === 0xb ||
    (point >= 0xe && point <= 0x1f) ||
    point === 0x7f ||
    point === 0x8f ||
    point === 0x9f;
  if (dropped) return "";
  const space =
    [0x9, 0xa, 0xc, 0xd, 0x1680, 0x2028, 0x2029, 0x2581, 0xfeff, 0xfffd].includes(point) ||
    (point >= 0x200b && point <= 0x200f);
  return space ? " " : text;
}

function strip(left: boolean, right: boolean): Normalizer {
  return (source, out) => {
    const flags = classes();
    let start = 0;
    let end = source.length;
    if (left) while (start < end && flags[source.units[start]!]! & SPACE) start++;
    if (right) while (end > start && flags[source.units[end - 1]!]! & SPACE) end--;
    out.copy(source, start, end);
  };
}

function prepend(text: string): Normalizer {
  return (source, out) => {
    if (source.length === 0) return;
    out.replace(text, source, 0, 1);
    out.copy(source, 0, source.length);
  };
}

function replaceAll(pattern: RegExp, content: string): Normalizer {
  return (source, out) => {
    let at = 0;
    for (const [start, end] of matchesOf(source.text(), pattern)) {
      out.copy(source, at, start);
      // All of it has the place of the last character that it replaces.
      if (end === 0) out.insert(content, source, 0);
      else out.replace(content, source, end - 1, end);
      at = end;
    }
    out.copy(source, at, source.length);
  };
}
