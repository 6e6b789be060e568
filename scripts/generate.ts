/** Writes what is made from tables of the code: pages of docs/guide and the list of exports. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { EXPORTS_FILE, exportedNames } from "./guards/exports.js";
import { tablePages } from "./guards/pages.js";
import { ROOT, readTree } from "./guards/tree.js";

const pages: Readonly<Record<string, string>> = {
  ...tablePages(),
  [EXPORTS_FILE]: `${exportedNames(readTree(ROOT, ["src", "package.json"], [".ts", "package.json"])).join("\n")}\n`,
};
for (const [file, text] of Object.entries(pages)) {
  mkdirSync(dirname(join(ROOT, file)), { recursive: true });
  writeFileSync(join(ROOT, file), text);
}
