/** Guard: every code block of the README says how it is proved, and is. */
import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { graph, writeModel } from "tenon/onnx";
import { tensor } from "tenon/tensor";
import type { Finding } from "./tree.js";

/**
 * The word after a block's language. `run`: run beside a `model.onnx`, must succeed. `serve`: must print a curl line that then works.
 * `ci`: a line that .ci/run runs itself. `shown`: cannot be run here (it installs the published package, say).
 */
const MARKS = ["run", "serve", "ci", "shown"] as const;
type Mark = (typeof MARKS)[number];

export interface Block {
  readonly language: string;
  readonly mark: string;
  readonly code: string;
  readonly line: number;
}

const PROVED = ["sh", "ts"];
const LIMIT_MS = 180_000;
const FOLDER = ".cache/readme";

/** The fenced blocks of a Markdown text. */
export function blocksOf(markdown: string): Block[] {
  return [...markdown.matchAll(/^```(\w+)(?: ([^\n]*))?\n([\s\S]*?)^```/gm)].map((match) => ({
    language: match[1]!,
    mark: match[2] ?? "",
    code: match[3]!,
    line: markdown.slice(0, match.index).split("\n").length,
  }));
}

/** Findings on blocks without a mark, on `ci` lines that .ci/run lacks, and on a README that has no `serve` block. */
export function checkMarks(readme: string, ci: string): Finding[] {
  const blocks = blocksOf(readme).filter(({ language }) => PROVED.includes(language));
  const findings: Finding[] = [];
  for (const { mark, code, line } of blocks) {
    const at = (message: string): void => void findings.push({ file: `README.md:${line}`, message });
    if (!MARKS.some((word) => word === mark)) at(`the block needs one of the marks ${MARKS.join(", ")}`);
    if (mark === "ci" && !ci.includes(`run "${code.trim()}"`)) at(`.ci/run does not run "${code.trim()}"`);
  }
  for (const mark of ["serve", "ci"] satisfies Mark[]) {
    if (!blocks.some((block) => block.mark === mark)) {
      findings.push({ file: "README.md", message: `has no block marked ${mark}` });
    }
  }
  return findings;
}

/** Proves one block at `root` (dependencies installed, package built); findings when it fails. */
export async function proveBlock(root: string, { language, mark, code, line }: Block): Promise<Finding[]> {
  const at = (message: string): Finding[] => [{ file: `README.md:${line}`, message }];
  if (mark === "serve") return (await serveAndCurl(root, code)).flatMap(at);
  if (mark !== "run") return [];
  const folder = prepareFolder(root);
  const command = language === "ts" ? prepareTypeScript(folder, code) : code;
  const { status, output } = await runShell(folder, command);
  return status === 0 ? [] : at(`exits with ${status}:\n${output}`);
}

/** A folder inside the package, where its name resolves, with the `model.onnx` that the README speaks of. */
function prepareFolder(root: string): string {
  const folder = join(root, FOLDER);
  mkdirSync(folder, { recursive: true });
  const g = graph({ name: "model" });
  const x = g.input("x", "float32", ["batch", 2]);
  g.output(g.add("MatMul", [x, g.initializer("w", tensor([[3], [4]]))]), "y");
  writeFileSync(join(folder, "model.onnx"), writeModel(g.model()));
  // What an installation leaves, for npx.
  const bin = join(folder, "node_modules/.bin");
  mkdirSync(bin, { recursive: true });
  rmSync(join(bin, "tenon"), { force: true });
  symlinkSync(join(root, "dist/cli/main.cjs"), join(bin, "tenon"));
  chmodSync(join(root, "dist/cli/main.cjs"), 0o755);
  return folder;
}

/** Compiles a block like the examples are compiled; tells the command that runs it. */
function prepareTypeScript(folder: string, code: string): string {
  writeFileSync(join(folder, "block.ts"), code);
  const options = { rootDir: ".", outDir: "out", declaration: false, noUnusedLocals: false };
  const config = { extends: "../../tsconfig.json", compilerOptions: options, include: ["block.ts"] };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  return "../../node_modules/.bin/tsc && node out/block.js";
}

async function runShell(cwd: string, command: string): Promise<{ status: number | null; output: string }> {
  // Without an input: bash takes a socket for a remote login and reads its start-up file.
  const child = spawn("bash", ["-euo", "pipefail", "-c", command], {
    cwd,
    timeout: LIMIT_MS,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (part: string) => {
      output += part;
    });
  }
  const status = await new Promise<number | null>((done) => child.on("close", done));
  return { status, output };
}

/** Starts the server of a block on a free port, runs the curl line it prints, stops it; says what went wrong. */
async function serveAndCurl(root: string, code: string): Promise<string[]> {
  // `npm ci` has just been done, and would pull the dependencies from under this process.
  const command = code.trim().replace(/^npm ci && /, "");
  const child = spawn("bash", ["-euo", "pipefail", "-c", command], {
    cwd: root,
    env: { ...process.env, TENON_HTTP_PORT: "0" },
    // A group of its own: a signal then reaches the server behind npm and its shell too, as Ctrl-C does.
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const stop = (signal: NodeJS.Signals): void => {
    try {
      process.kill(-child.pid!, signal);
    } catch {
      // The whole group has ended already.
    }
  };
  const killer = setTimeout(() => stop("SIGKILL"), LIMIT_MS);
  let output = "";
  const curl = await new Promise<string | undefined>((found) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (part: string) => {
        output += part;
        const line = /^\s*(curl .*)\n/m.exec(output);
        if (line) found(line[1]);
      });
    }
    child.on("close", () => found(undefined));
  });
  const closed = new Promise<void>((done) => {
    if (child.exitCode !== null || child.signalCode !== null) done();
    else child.on("close", () => done());
  });
  const problems: string[] = [];
  if (curl === undefined) problems.push(`printed no curl line:\n${output}`);
  else {
    const { status, output: answer } = await runShell(root, curl);
    if (status !== 0 || !answer.includes("outputs"))
      problems.push(`"${curl}" answered (${status}): ${answer.slice(0, 2000)}`);
  }
  stop("SIGTERM");
  await closed;
  clearTimeout(killer);
  return problems;
}
