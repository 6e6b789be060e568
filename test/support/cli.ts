/** The real command as a child process, from the built package. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { createInterface } from "node:readline";

const MAIN = resolve(import.meta.dirname, "../../../dist/cli/main.cjs");

export interface CliOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds until the system kills it; default five minutes, 0: never. */
  readonly timeout?: number;
}

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts `tenon …` without the caller's own settings; killed by the system when a test leaves it. */
export function startCli(args: readonly string[], options: CliOptions = {}): ChildProcessWithoutNullStreams {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(TENON_|FORCE_COLOR|NO_COLOR|NODE_TEST_CONTEXT)/.test(name),
  );
  return spawn(process.execPath, [MAIN, ...args], {
    cwd: options.cwd,
    env: { ...Object.fromEntries(inherited), ...options.env },
    timeout: options.timeout ?? 300_000,
    killSignal: "SIGKILL",
  });
}

/** Runs `tenon …` to its end. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const child = startCli(args, options);
  const [stdout, stderr] = [child.stdout, child.stderr].map(collect);
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout: stdout!(), stderr: stderr!() };
}

/** Gathers a stream; the returned function tells what came so far. */
export function collect(stream: NodeJS.ReadableStream): () => string {
  let text = "";
  stream.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  return () => text;
}

/** The first line of a stream; rejects with what stderr said when the process ends before. */
export async function firstLine(child: ChildProcessWithoutNullStreams): Promise<string> {
  const complaint = collect(child.stderr);
  for await (const line of createInterface({ input: child.stdout })) return line;
  throw new Error(`the command ended without a line on stdout; stderr: ${complaint()}`);
}
