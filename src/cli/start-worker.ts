/** Local workers of a job as processes, with the settings of this one. */
import { type ChildProcess, fork } from "node:child_process";
import type { Command } from "commander";
import { flagOf } from "../base/index.js";
import { usableCores } from "../runtime/index.js";
import { SCORE_SETTINGS } from "./score-options.js";

/** What starts a worker of `folder`; the cores are shared by all unless `--lanes` says otherwise. */
export function startWorker(
  command: Command,
  folder: string,
  model: string,
  inputRoot: string,
  workers: number,
): () => ChildProcess {
  const given = command.opts<Readonly<Record<string, string | undefined>>>();
  const names = [...SCORE_SETTINGS, "config"];
  const flags = names.flatMap((name) =>
    given[name] === undefined ? [] : [`${flagOf(name)}=${given[name]}`],
  );
  if (given.lanes === undefined && process.env.TENON_LANES === undefined)
    flags.push(`--lanes=${Math.max(1, Math.floor(usableCores() / workers))}`);
  const args = ["score", "worker", folder, "--model", model, "--input-root", inputRoot, ...flags];
  return () =>
    fork(process.argv[1]!, args, {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
      execArgv: process.execArgv,
    });
}
