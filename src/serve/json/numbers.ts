/** JSON numbers straight from bytes: exact to the last bit, without a string per number in the usual cases. */
import { TenonError } from "../../base/index.js";
import { BYTE, isSpace, type JsonScanner } from "./scanner.js";

/** What a number must be to enter a tensor. */
export interface NumberRule {
  /** Datatype as the protocol names it, for messages. */
  readonly datatype: string;
  /** Fractions and exponents are refused, and values outside [min, max]. */
  readonly integer: boolean;
  readonly min: number;
  readonly max: number;
  /** The value will be rounded to float32, so it needs to be exact only after that. */
  readonly single: boolean;
}

/** Powers of ten that a double holds exactly. */
const POW10 = Float64Array.from({ length: 23 }, (_, i) => Number(`1e${i}`));

/** Digits that a double's integers hold whatever they are: 10^15 < 2^53. */
const EXACT_DIGITS = 15;

/** Up to this many digits the mantissa, summed up in a double, is within 2^-50 of the truth. */
const CLOSE_DIGITS = 20;
const BELOW = 1 - 2 ** -49;
const ABOVE = 1 + 2 ** -49;

/**
 * Reads `count` comma-separated numbers into `target[from, from + count)` and leaves the cursor behind the last.
 * Where fewer numbers than `count`, or arrays in place
 * of numbers, show that the data has another shape, `mismatch` throws. Results equal `Number(text)` (after rounding to float32
 * where the rule says so): a mantissa of up to 15 digits and a power of ten up to 10^22 are exact doubles, so one
 * multiplication or division rounds once. Longer mantissas are accepted when the whole interval of their error rounds
 * to one float32; everything else goes through `Number`.
 */
export function scanNumbers(
  scanner: JsonScanner,
  target: Float64Array,
  from: number,
  count: number,
  rule: NumberRule,
  mismatch: () => never,
): void {
  const { bytes } = scanner;
  const { integer, min, max, single } = rule;
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const lastWord = scanner.end - 4;
  let at = scanner.at;
  for (let i = 0; i < count; i++) {
    let byte = bytes[at]!;
    while (byte <= 32 && isSpace(byte)) byte = bytes[++at]!;
    if (i > 0) {
      if (byte !== BYTE.comma) {
        scanner.at = at;
        if (byte === BYTE.closeArray) mismatch();
        scanner.fail("Missing a comma or ] after an array element");
      }
      byte = bytes[++at]!;
      while (byte <= 32 && isSpace(byte)) byte = bytes[++at]!;
    }
    const start = at;
    const negative = byte === BYTE.minus;
    if (negative) byte = bytes[++at]!;
    const firstDigit = at;
    let mantissa = byte - 48;
    if (mantissa >>> 0 > 9) {
      scanner.at = start;
      target[from + i] = notANumber(scanner, rule, mismatch);
      at = scanner.at;
      continue;
    }
    byte = bytes[++at]!;
    let digit = byte - 48;
    if (mantissa === 0 && digit >>> 0 <= 9) scanner.fail("Invalid value: a leading zero", start);
    while (digit >>> 0 <= 9) {
      mantissa = mantissa * 10 + digit;
      byte = bytes[++at]!;
      digit = byte - 48;
    }
    let digits = at - firstDigit;
    let exponent = 0;
    if (byte === 46) {
      const firstDecimal = ++at;
      // Four digits at a time while there are four: as one little-endian word, first digit lowest.
      while (at <= lastWord) {
        const word = words.getInt32(at, true);
        if (((word & 0xf0f0f0f0) | (((word + 0x06060606) & 0xf0f0f0f0) >>> 4)) !== 0x33333333) break;
        const digitsOf4 = word & 0x0f0f0f0f;
        const pairs = Math.imul(digitsOf4, 10) + (digitsOf4 >>> 8);
        mantissa = mantissa * 10_000 + (Math.imul(pairs & 0xff, 100) + ((pairs >>> 16) & 0xff));
        at += 4;
      }
      byte = bytes[at]!;
      digit = byte - 48;
      while (digit >>> 0 <= 9) {
        mantissa = mantissa * 10 + digit;
        byte = bytes[++at]!;
        digit = byte - 48;
      }
      exponent = firstDecimal - at;
      if (exponent === 0) scanner.fail("Missing fraction part in number", at);
      digits -= exponent;
      if (integer) refuse(scanner, start, rule);
    }
    if ((byte | 32) === 101) {
      if (integer) refuse(scanner, start, rule);
      byte = bytes[++at]!;
      const below = byte === 45;
      if (below || byte === 43) byte = bytes[++at]!;
      digit = byte - 48;
      if (digit >>> 0 > 9) scanner.fail("Missing exponent in number", at);
      let written = 0;
      while (digit >>> 0 <= 9) {
        if (written < 100_000) written = written * 10 + digit;
        byte = bytes[++at]!;
        digit = byte - 48;
      }
      exponent += below ? -written : written;
    }
    let value: number;
    if (exponent < -22 || exponent > 22 || digits > CLOSE_DIGITS) {
      value = slowNumber(scanner, firstDigit, at);
    } else {
      value = exponent < 0 ? mantissa / POW10[-exponent]! : mantissa * POW10[exponent]!;
      if (digits > EXACT_DIGITS && !(single && Math.fround(value * BELOW) === Math.fround(value * ABOVE))) {
        value = slowNumber(scanner, firstDigit, at);
      }
    }
    if (negative) value = -value;
    if (integer && (value < min || value > max)) refuse(scanner, start, rule);
    target[from + i] = value;
  }
  scanner.at = at;
}

const TWO_32 = 2 ** 32;

/**
 * As `scanNumbers`, for 64-bit integers: exact over their whole range. `target` is a BigInt64Array or BigUint64Array
 * and `words` its 32-bit halves, low first.
 */
export function scanLongs(
  scanner: JsonScanner,
  target: BigInt64Array | BigUint64Array,
  words: Uint32Array,
  from: number,
  count: number,
  rule: NumberRule,
  mismatch: () => never,
): void {
  const { bytes } = scanner;
  for (let i = 0; i < count; i++) {
    if (i > 0 && !scanner.accept(BYTE.comma)) {
      if (bytes[scanner.at] === BYTE.closeArray) mismatch();
      scanner.fail("Missing a comma or ] after an array element");
    }
    scanner.peek();
    const start = scanner.at;
    let at = start;
    const negative = bytes[at] === BYTE.minus;
    if (negative) at++;
    const firstDigit = at;
    let value = 0;
    let digit = bytes[at]! - 48;
    if (digit >>> 0 > 9) notANumber(scanner, rule, mismatch);
    if (digit === 0 && (bytes[at + 1]! - 48) >>> 0 <= 9) scanner.fail("Invalid value: a leading zero", start);
    while (digit >>> 0 <= 9) {
      value = value * 10 + digit;
      digit = bytes[++at]! - 48;
    }
    const next = bytes[at]!;
    if (next === 46 || (next | 32) === 101) refuse(scanner, start, rule);
    scanner.at = at;
    if (at - firstDigit > EXACT_DIGITS) {
      if (at - firstDigit > 20) refuse(scanner, start, rule);
      const exact = BigInt(bytes.toString("latin1", start, at));
      const fits = rule.min < 0 ? BigInt.asIntN(64, exact) === exact : BigInt.asUintN(64, exact) === exact;
      if (!fits) refuse(scanner, start, rule);
      target[from + i] = exact;
      continue;
    }
    if (negative) {
      if (value !== 0 && rule.min === 0) refuse(scanner, start, rule);
      value = -value;
    }
    const high = Math.floor(value / TWO_32);
    words[2 * (from + i)] = value - high * TWO_32;
    words[2 * (from + i) + 1] = high;
  }
}

function slowNumber(scanner: JsonScanner, start: number, end: number): number {
  return Number(scanner.bytes.toString("latin1", start, end));
}

/** NaN, Infinity and -Infinity where the rule lets them in; anything else is refused. */
function notANumber(scanner: JsonScanner, rule: NumberRule, mismatch: () => never): number {
  const start = scanner.at;
  const text = scanner.numberText();
  if (text !== undefined && !rule.integer) return Number(text);
  if (scanner.bytes[start] === BYTE.openArray) mismatch();
  throw valueError(
    `expected a number of ${rule.datatype} at ${start}${text === undefined ? "" : `, got ${text}`}`,
  );
}

function refuse(scanner: JsonScanner, start: number, rule: NumberRule): never {
  scanner.at = start;
  scanner.skipNumber();
  const text = scanner.bytes.toString("latin1", start, Math.min(scanner.at, start + 40));
  const bounds = rule.integer
    ? ` (an integer from ${RANGE[rule.datatype] ?? `${rule.min} to ${rule.max}`})`
    : "";
  throw valueError(`${text} at ${start} is not a value of ${rule.datatype}${bounds}`);
}

const RANGE: Readonly<Record<string, string>> = {
  INT64: "-9223372036854775808 to 9223372036854775807",
  UINT64: "0 to 18446744073709551615",
};

/** An element that its tensor cannot hold; the text is the protocol's. */
export function valueError(problem: string): TenonError {
  return new TenonError("INPUT_VALUE", { problem: `Unable to parse 'data': ${problem}` });
}
