/** The beginning of a text that is far longer than a model reads, so that not all of it becomes tokens. */

/** Most texts have fewer characters for a token. */
const CHARACTERS = 16;
/** Tokens beyond those that are read; words in them may be cut in other ways at the end of a text than inside it. */
const SLACK = 8;

/**
 * The shortest beginning, up to the end of a word, that `count` finds to have more than `tokens` tokens; undefined where the text
 * itself is hardly longer, or no word ends. Tokenizers read a word the same whatever stands behind the space after it, so the
 * first `tokens` tokens are those of the text.
 */
export function beginningOf(
  text: string,
  tokens: number,
  count: (beginning: string) => number,
): string | undefined {
  for (let most = CHARACTERS * (tokens + SLACK); 2 * most < text.length; most *= 4) {
    const end = wordEnd(text, most);
    if (end === undefined) continue;
    const beginning = text.slice(0, end);
    if (count(beginning) >= tokens + SLACK) return beginning;
  }
  return undefined;
}

/** Where a word ends at a space, in the second half of the first `most` units. */
function wordEnd(text: string, most: number): number | undefined {
  for (let at = most; at > most / 2; at--) if (text[at] === " " && text[at - 1] !== " ") return at;
  return undefined;
}
