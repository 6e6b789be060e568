/** Decoders: from tokens back to text, each a step over the list of tokens. */
import { matchesOf, patternAt } from "./expression.js";
import { byteCharacters } from "./line.js";
import { countAt, flagAt, type Part, partsAt, textAt, typeOf, unsupported } from "./parts.js";

type Decoder = (tokens: readonly string[]) => readonly string[];

/** Text from tokens; without a decoder they are joined by spaces. Throws TOKENIZER_UNSUPPORTED. */
export function decoderOf(part: Part | undefined): (tokens: readonly string[]) => string {
  if (part === undefined) return (tokens) => tokens.join(" ");
  const step = stepOf(part);
  return (tokens) => step(tokens).join("");
}

function stepOf(part: Part): Decoder {
  switch (typeOf(part)) {
    case "Sequence": {
      const steps = partsAt(part, "decoders").map(stepOf);
      return (tokens) => steps.reduce((made, step) => step(made), tokens);
    }
    case "WordPiece":
      return wordPiece(textAt(part, "prefix", "##"), flagAt(part, "cleanup", true));
    case "ByteLevel":
      return byteLevel();
    case "Metaspace": {
      const mark = textAt(part, "replacement", "\u2581");
      const legacy = part.add_prefix_space === false ? "never" : "always";
      const strip = textAt(part, "prepend_scheme", legacy) !== "never";
      return (tokens) => tokens.map((token, i) => token.replaceAll(mark, i === 0 && strip ? "" : " "));
    }
    case "BPEDecoder": {
      const suffix = textAt(part, "suffix", "</w>");
      return (tokens) =>
        tokens.map((token, i) => token.replaceAll(suffix, i === tokens.length - 1 ? "" : " "));
    }
    case "Fuse":
      return (tokens) => [tokens.join("")];
    case "Replace": {
      const pattern = patternAt(part, "pattern");
      const content = textAt(part, "content");
      return (tokens) => tokens.map((token) => replaced(token, pattern, content));
    }
    case "Strip":
      return strip(textAt(part, "content", " "), countAt(part, "start", 0), countAt(part, "stop", 0));
    case "ByteFallback":
      return byteFallback;
    default:
      throw unsupported(`decoder ${typeOf(part)}`);
  }
}

function replaced(token: string, pattern: RegExp, content: string): string {
  let text = "";
  let at = 0;
  for (const [start, end] of matchesOf(token, pattern)) {
    text += token.slice(at, start) + content;
    at = end;
  }
  return text + token.slice(at);
}

function wordPiece(prefix: string, cleanup: boolean): Decoder {
  return (tokens) =>
    tokens.map((token, i) => {
      let text = token;
      if (i > 0) text = token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
      return cleanup ? cleaned(text) : text;
    });
}

/** Spaces that tokenisation put before punctuation and contractions. */
function cleaned(text: string): string {
  return text
    .replaceAll(" .", ".")
    .replaceAll(" ?", "?")
    .replaceAll(" !", "!")
    .replaceAll(" ,", ",")
    .replaceAll(" ' ", "'")
    .replaceAll(" n't", "n't")
    .replaceAll(" 'm", "'m")
    .replaceAll(" do not", " don't")
    .replaceAll(" 's", "'s")
    .replaceAll(" 've", "'ve")
    .replaceAll(" 're", "'re");
}

function byteLevel(): Decoder {
  const bytes = new Map(byteCharacters().map((character, byte) => [character, byte]));
  return (tokens) => {
    const out: Buffer[] = [];
    for (const token of tokens) {
      const values = Array.from(token, (character) => bytes.get(character));
      // A token with a character that stands for no byte is text of its own.
      out.push(values.includes(undefined) ? Buffer.from(token) : Buffer.from(values as number[]));
    }
    return [Buffer.concat(out).toString("utf8")];
  };
}

function strip(content: string, start: number, stop: number): Decoder {
  return (tokens) =>
    tokens.map((token) => {
      const characters = [...token];
      let from = 0;
      while (from < start && characters[from] === content) from++;
      let to = characters.length;
      while (to > characters.length - stop && to > from && characters[to - 1] === content) to--;
      return characters.slice(from, to).join("");
    });
}

function byteFallback(tokens: readonly string[]): readonly string[] {
  const out: string[] = [];
  let bytes: number[] = [];
  const flush = (): void => {
    if (bytes.length === 0) return;
    const text = Buffer.from(bytes).toString("utf8");
    // Bytes that are no text: one replacement character each.
    if (Buffer.from(text).equals(Buffer.from(bytes))) out.push(text);
    else for (const _ of bytes) out.push("\ufffd");
    bytes = [];
  };
  for (const token of tokens) {
    const match = /^<0x([0-9A-Fa-f]{2})>$/.exec(token);
    if (match !== null) {
      bytes.push(Number.parseInt(match[1]!, 16));
      continue;
    }
    flush();
    out.push(token);
  }
  flush();
  return out;
}
