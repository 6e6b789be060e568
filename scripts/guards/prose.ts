/** Guards on texts: links resolve, the map names what exists, pages match the tables they are made from. */
import { posix } from "node:path";
import type { Finding, Tree } from "./tree.js";

const LINK = /\]\(([^)\s]+)\)/g;

/** Findings on relative links of Markdown files whose file or heading does not exist. */
export function checkLinks(tree: Tree, exists: (path: string) => boolean): Finding[] {
  const findings: Finding[] = [];
  for (const [file, source] of tree) {
    if (!file.endsWith(".md")) continue;
    for (const [, target] of withoutCode(source).matchAll(LINK)) {
      if (/^[a-z]+:/.test(target!)) continue;
      const [path, anchor] = target!.split("#");
      const linked = path === "" ? file : posix.join(posix.dirname(file), path!);
      if (!exists(linked)) findings.push({ file, message: `the link to ${target} leads nowhere` });
      else if (anchor && tree.has(linked) && !anchorsOf(tree.get(linked)!).includes(anchor)) {
        findings.push({ file, message: `${linked} has no heading #${anchor}` });
      }
    }
  }
  return findings;
}

const MAP_LINES = 150;

/** Findings on a map that is too long, names a path that is not there, or leaves out a folder of `src`. */
export function checkMap(
  map: string,
  folders: readonly string[],
  exists: (path: string) => boolean,
): Finding[] {
  const findings: Finding[] = [];
  const lines = map.trimEnd().split("\n").length;
  if (lines > MAP_LINES)
    findings.push({ file: "MAP.md", message: `has ${lines} lines, more than ${MAP_LINES}` });
  for (const [, path] of map.matchAll(/`((?:src|test|bench|examples|docs|scripts)\/[\w./-]*)`/g)) {
    if (!exists(path!)) findings.push({ file: "MAP.md", message: `names ${path}, which does not exist` });
  }
  for (const folder of folders) {
    if (!map.includes(`\`${folder}/\``))
      findings.push({ file: "MAP.md", message: `does not name ${folder}/` });
  }
  return findings;
}

/** A finding when a page that is made from a table differs from what the table gives now. */
export function checkPage(file: string, actual: string | undefined, expected: string): Finding[] {
  if (actual === expected) return [];
  return [{ file, message: "differs from the table it is made from; run npm run generate" }];
}

function withoutCode(markdown: string): string {
  return markdown.replace(/^```[\s\S]*?^```/gm, "").replace(/`[^`\n]*`/g, "");
}

function anchorsOf(markdown: string): string[] {
  return [...withoutFences(markdown).matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

function withoutFences(markdown: string): string {
  return markdown.replace(/^```[\s\S]*?^```/gm, "");
}
