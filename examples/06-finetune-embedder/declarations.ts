/** Functions of Node.js and what they do, from the declarations in the npm package @types/node: sentence and signature. */
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

export interface Declared {
  /** The first sentence of its documentation. */
  readonly sentence: string;
  readonly signature: string;
}

const DOCUMENTED =
  /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*(?:export\s+)?(?:function\s+)?([A-Za-z]\w*)\s*(?:<[^>(]*>)?(\([^;{]*?\)\s*:\s*[^;{]+);/g;

/** Plain text of a comment, up to its first full stop. */
function firstSentence(comment: string): string {
  const text = comment
    .replace(/^\s*\* ?/gm, "")
    .split(/^\s*@/m)[0]!
    .replace(/```[\s\S]*?```/g, " ")
    .replace(/\{@link ([^}]*)\}/g, "$1")
    .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/[`*]/g, "")
    .replace(/\s+/g, " ")
    .trim();
  return /^.*?[.:](?=\s|$)/.exec(text)?.[0].replace(/:$/, ".") ?? "";
}

/** One entry for each sentence and each signature, in the order of the files; sentences that say the name are left out. */
export function declarations(): Declared[] {
  const folder = dirname(createRequire(import.meta.url).resolve("@types/node/package.json"));
  const seen = new Set<string>();
  const found: Declared[] = [];
  for (const file of readdirSync(folder)
    .filter((name) => name.endsWith(".d.ts"))
    .sort()) {
    for (const [, comment, name, rest] of readFileSync(join(folder, file), "utf8").matchAll(DOCUMENTED)) {
      const sentence = firstSentence(comment!);
      const signature = `${name}${rest!.replace(/\s+/g, " ")}`.slice(0, 160);
      if (sentence.toLowerCase().includes(name!.toLowerCase())) continue;
      if (sentence.length < 25 || sentence.length > 240 || seen.has(sentence) || seen.has(signature))
        continue;
      seen.add(sentence).add(signature);
      found.push({ sentence, signature });
    }
  }
  return found;
}
