/** Guard: the names that each subpath of the package exports are those of a checked-in list. */
import type { Finding, Tree } from "./tree.js";

export const EXPORTS_FILE = "test/house/exports.txt";

/** `tenon/tensor type DType` for every exported name, sorted; reads the index files that package.json names. */
export function exportedNames(tree: Tree): string[] {
  return [...indexFiles(tree)]
    .flatMap(([subpath, file]) => namesOf(tree.get(file) ?? "").map((name) => `${subpath} ${name}`))
    .sort();
}

/** Findings on names that the list lacks, on listed names that are gone, on `export *` and on missing files. */
export function checkExports(tree: Tree): Finding[] {
  const findings: Finding[] = [];
  for (const [subpath, file] of indexFiles(tree)) {
    const source = tree.get(file);
    if (source === undefined)
      findings.push({ file, message: `package.json exports ${subpath}, but the file is not there` });
    else if (/^export\s*\*/m.test(source))
      findings.push({ file, message: "exports * hides what is public; name each" });
  }
  const actual = new Set(exportedNames(tree));
  const listed = new Set((tree.get(EXPORTS_FILE) ?? "").split("\n").filter((line) => line !== ""));
  const update = "run npm run generate if that is meant";
  for (const name of actual)
    if (!listed.has(name)) findings.push({ file: EXPORTS_FILE, message: `lacks "${name}"; ${update}` });
  for (const name of listed)
    if (!actual.has(name))
      findings.push({ file: EXPORTS_FILE, message: `lists "${name}", which is not exported; ${update}` });
  return findings;
}

function indexFiles(tree: Tree): Map<string, string> {
  const manifest: {
    readonly name: string;
    readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
  } = JSON.parse(tree.get("package.json") ?? '{"name":"","exports":{}}');
  const files = new Map<string, string>();
  for (const [subpath, target] of Object.entries(manifest.exports)) {
    if (typeof target === "string") continue;
    const file = target.default.replace("./dist/", "src/").replace(/\.js$/, ".ts");
    files.set(manifest.name + subpath.slice(1), file);
  }
  return files;
}

const LIST = /^export (type )?\{([^}]*)\}/gm;
const DECLARED =
  /^export (?:declare |abstract |async )*(const|let|function\*?|class|interface|type) ([\w$]+)/gm;

function namesOf(source: string): string[] {
  const names: string[] = [];
  for (const [, wholeType, body] of source.matchAll(LIST)) {
    for (const part of body!
      .split(",")
      .map((text) => text.trim())
      .filter((text) => text !== "")) {
      const type = wholeType !== undefined || part.startsWith("type ");
      const name = part
        .replace(/^type /, "")
        .split(" as ")
        .at(-1)!
        .trim();
      names.push(type ? `type ${name}` : name);
    }
  }
  for (const [, kind, name] of source.matchAll(DECLARED)) {
    names.push(kind === "interface" || kind === "type" ? `type ${name}` : name!);
  }
  return names;
}
