/** Paragraphs of Markdown as texts to embed: of the pages that packages bring along, at even steps of length, shuffled by a seed. */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { seededRandom } from "../../test/support/random.js";

const PACKAGES = resolve(import.meta.dirname, "../../../node_modules");

/** Shares of the paragraphs, from the shortest on; the longest tenth of a hundredth would be whole tables. */
const LONGEST_SHARE = 0.995;

/** Paragraphs of at least 30 characters, each once, by length. */
function all(): string[] {
  const found = new Set<string>();
  const read = (folder: string): void => {
    let pages: string[];
    try {
      pages = readdirSync(folder);
    } catch {
      return;
    }
    for (const page of pages.filter((name) => /\.md$/i.test(name)).sort())
      for (const part of readFileSync(join(folder, page), "utf8").split(/\n\s*\n/))
        if (part.trim().length >= 30) found.add(part.trim());
  };
  for (const name of readdirSync(PACKAGES).sort()) {
    if (name.startsWith("@"))
      for (const inner of readdirSync(join(PACKAGES, name)).sort()) read(join(PACKAGES, name, inner));
    else read(join(PACKAGES, name));
  }
  return [...found].sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
}

/** `count` texts; the same for the same packages. */
export function paragraphs(count: number): string[] {
  const texts = all();
  const chosen = Array.from(
    { length: count },
    (_, i) => texts[Math.floor(((i + 0.5) / count) * LONGEST_SHARE * texts.length)]!,
  );
  const random = seededRandom(7);
  for (let i = chosen.length - 1; i > 0; i--) {
    const other = Math.floor(random() * (i + 1));
    [chosen[i], chosen[other]] = [chosen[other]!, chosen[i]!];
  }
  return chosen;
}
