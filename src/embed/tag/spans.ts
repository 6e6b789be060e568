/** Labels of tokens as spans of a text, put together as the pipeline of transformers does it. */

/** `none`: every token; `simple`: neighbours of one label; the others give all tokens of a word one label first. */
export const AGGREGATIONS = ["none", "simple", "first", "max", "average"] as const;
export type Aggregation = (typeof AGGREGATIONS)[number];

export interface TagSpan {
  readonly label: string;
  readonly score: number;
  /** Where it begins and ends in the text, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** A token of the text with the scores of all labels. */
export interface ScoredToken {
  readonly scores: Float32Array;
  readonly start: number;
  readonly end: number;
  /** It goes on with the word of the token before. */
  readonly isSubword: boolean;
}

interface Piece {
  readonly label: string;
  readonly score: number;
  readonly start: number;
  readonly end: number;
}

export function spansOf(
  text: string,
  tokens: readonly ScoredToken[],
  labels: readonly string[],
  aggregation: Aggregation,
  ignored: ReadonlySet<string>,
): TagSpan[] {
  const piece = (scores: Float32Array, start: number, end: number): Piece => {
    const best = largest(scores);
    return { label: labels[best]!, score: scores[best]!, start, end };
  };
  const isByWord = aggregation !== "none" && aggregation !== "simple";
  const pieces = isByWord
    ? words(tokens).map((word) => piece(wordScores(word, aggregation), word[0]!.start, word.at(-1)!.end))
    : tokens.map(({ scores, start, end }) => piece(scores, start, end));
  return (aggregation === "none" ? pieces : groups(pieces))
    .filter(({ label }) => !ignored.has(label))
    .map((span) => ({ ...span, text: text.slice(span.start, span.end) }));
}

function words(tokens: readonly ScoredToken[]): ScoredToken[][] {
  const all: ScoredToken[][] = [];
  for (const token of tokens) {
    if (token.isSubword && all.length > 0) all.at(-1)!.push(token);
    else all.push([token]);
  }
  return all;
}

function wordScores(word: readonly ScoredToken[], aggregation: "first" | "max" | "average"): Float32Array {
  const [first] = word;
  if (aggregation === "first") return first!.scores;
  if (aggregation === "max") {
    let surest = first!;
    for (const token of word) if (Math.max(...token.scores) > Math.max(...surest.scores)) surest = token;
    return surest.scores;
  }
  return first!.scores.map((_, i) => word.reduce((sum, { scores }) => sum + scores[i]!, 0) / word.length);
}

/** Neighbours of one label; a label with `B-` begins another span. */
function groups(pieces: readonly Piece[]): Piece[] {
  const all: Piece[][] = [];
  for (const piece of pieces) {
    const group = all.at(-1);
    const isNext =
      group !== undefined &&
      !piece.label.startsWith("B-") &&
      tagOf(piece.label) === tagOf(group.at(-1)!.label);
    if (isNext) group.push(piece);
    else all.push([piece]);
  }
  return all.map((group) => {
    const [first] = group;
    const { label, start } = first!;
    return {
      label: label.slice(label.indexOf("-") + 1),
      score: group.reduce((sum, { score }) => sum + score, 0) / group.length,
      start,
      end: group.at(-1)!.end,
    };
  });
}

function tagOf(label: string): string {
  return /^[BI]-/.test(label) ? label.slice(2) : label;
}

function largest(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
