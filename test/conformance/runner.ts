/** Runs cases in child processes, a chunk in each; a case that ends its process is reported and the rest goes on. */
import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { caseName } from "./cases.js";
import type { CaseResult } from "./run-cases.js";

const SCRIPT = resolve(import.meta.dirname, "run-cases.js");
const CHUNK = 300;
/** A case that takes longer than this hangs. */
const SILENCE_MS = 90_000;

/** The results of all cases, in the order of their paths. `environment` goes to the children. */
export async function runCases(
  paths: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<CaseResult[]> {
  const results: CaseResult[] = [];
  while (results.length < paths.length) {
    const chunk = paths.slice(results.length, results.length + CHUNK);
    const { done, ended } = await runChunk(chunk, environment);
    results.push(...done);
    if (done.length < chunk.length) {
      results.push({ name: caseName(chunk[done.length]!), status: "crash", reason: ended });
    }
  }
  return results;
}

function runChunk(
  paths: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<{ done: CaseResult[]; ended: string }> {
  return new Promise((fulfil, reject) => {
    const child = spawn(process.execPath, [SCRIPT], {
      env: { ...process.env, ...environment },
      stdio: ["pipe", "pipe", "ignore"],
    });
    const done: CaseResult[] = [];
    let rest = "";
    let timer = setTimeout(() => void child.kill("SIGKILL"), SILENCE_MS);
    child.stdout.setEncoding("utf8");
    child.stdout.on("data", (text: string) => {
      clearTimeout(timer);
      timer = setTimeout(() => void child.kill("SIGKILL"), SILENCE_MS);
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      // The child's own lines; nothing else writes to its standard output.
      for (const line of lines) if (line.startsWith("{")) done.push(JSON.parse(line) as CaseResult);
    });
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      fulfil({ done, ended: signal === null ? `exit ${code}` : signal });
    });
    // A child that dies early closes the pipe before it has read all.
    child.stdin.on("error", () => {});
    child.stdin.end(paths.join("\n"));
  });
}
