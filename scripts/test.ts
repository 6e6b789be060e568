/** Runs every compiled test in this one process: a process per file costs ten times as much. Usage: test.js [name part …] */
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const root = resolve(import.meta.dirname, "../..");
const wanted = process.argv.slice(2);
const files = ["dist", "build/test", "build/scripts"]
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((file) =>
      join(root, folder, file),
    ),
  )
  .filter((file) => file.endsWith(".test.js"))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort();

if (files.length === 0) {
  console.error(`no compiled test matches ${wanted.join(" ")}`);
  process.exitCode = 1;
}
for (const file of files) await import(pathToFileURL(file).href);
