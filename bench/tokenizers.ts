/**
 * Tokenizers on text they have not seen against the package tokenizers on one thread, in turn: MB of text a CPU second,
 * and milliseconds to build.
 * Usage: TENON_PYTHON=… node build/bench/tokenizers.js [--rounds R] [--texts N] FILE …
 * FILE is a tokenizer.json. The Python needs tokenizers (`pip install tokenizers`).
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { Tokenizer } from "tenon/embed";
import { machineLine } from "./harness/machine.js";
import { paragraphs } from "./harness/paragraphs.js";
import { median } from "./harness/statistics.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: "string", default: "5" }, texts: { type: "string", default: "4000" } },
});
const python = process.env.TENON_PYTHON;
if (!python) throw new Error("TENON_PYTHON names no Python with tokenizers");

function cpuOf(work: () => void): number {
  const used = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(used);
  return (user + system) / 1000;
}

const texts = paragraphs(Number(values.texts));
const megabytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 1e6;
console.log(`${machineLine()}; ${texts.length} texts, ${megabytes.toFixed(2)} MB`);
console.log("file                           build ms   MB/s of tenon   MB/s of tokenizers   ratio   ids");
for (const path of positionals) {
  const json = readFileSync(path, "utf8");
  const script = join(import.meta.dirname, "../../bench/peers/tokenizers_native.py");
  const child = spawn(python, [script, path], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const next = async (): Promise<string> => String((await lines.next()).value);
  await next();
  const builds: number[] = [];
  const ours: number[] = [];
  const theirs: number[] = [];
  let counts: readonly number[] = [];
  for (let round = 0; round <= Number(values.rounds); round++) {
    let tokenizer!: Tokenizer;
    const build = cpuOf(() => (tokenizer = Tokenizer.parse(json)));
    let ids = 0;
    const own = cpuOf(() => {
      for (const text of texts) ids += tokenizer.encode(text).ids.length;
    });
    child.stdin.write(`${JSON.stringify(texts)}\n`);
    const [ms, count] = (await next()).split(" ").map(Number) as [number, number];
    counts = [ids, count];
    if (round === 0) continue; // loads code
    builds.push(build);
    ours.push(own);
    theirs.push(ms);
  }
  child.stdin.end();
  if (child.exitCode === null) await once(child, "close");
  console.log(
    [
      basename(path).padEnd(30),
      median(builds).toFixed(0).padStart(8),
      ((1000 * megabytes) / median(ours)).toFixed(1).padStart(15),
      ((1000 * megabytes) / median(theirs)).toFixed(2).padStart(20),
      `${median(ours.map((ms, i) => theirs[i]! / ms)).toFixed(1)}×`.padStart(7),
      counts[0] === counts[1] ? "  equal" : `  ${counts.join(" and ")}`,
    ].join(" "),
  );
}
