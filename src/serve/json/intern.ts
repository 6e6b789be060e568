/** Strings that every request repeats (keys, names, datatypes), found again by their bytes instead of decoded anew. */

const SLOTS = 512;
const LONGEST = 48;
const texts: (string | undefined)[] = new Array(SLOTS).fill(undefined);

/** The text of `bytes[start, end)`, which is valid UTF-8 without escapes. */
export function internString(bytes: Buffer, start: number, end: number): string {
  const length = end - start;
  if (length === 0) return "";
  if (length > LONGEST) return bytes.toString("utf8", start, end);
  const slot =
    (length * 31 + bytes[start]! * 7 + bytes[end - 1]! * 131 + bytes[start + (length >> 1)]!) % SLOTS;
  const known = texts[slot];
  if (known !== undefined && known.length === length) {
    let i = 0;
    while (i < length && known.charCodeAt(i) === bytes[start + i]) i++;
    // A byte of a longer UTF-8 sequence is never equal to a code unit here: only ASCII texts are kept.
    if (i === length) return known;
  }
  const text = bytes.toString("utf8", start, end);
  if (text.length === length) texts[slot] = text;
  return text;
}
