/** The pool's threads, where models run, step back behind the event loop. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";

const PROGRAM = `
  import { readdirSync, readFileSync } from "node:fs";
  import { Engine } from "tenon";
  const engine = await Engine.open({ lanes: 3, dedicatedPool: process.argv[1] === "dedicated", cache: false });
  const niceness = readdirSync("/proc/self/task").map((thread) =>
    readFileSync("/proc/self/task/" + thread + "/stat", "utf8").split(") ")[1].split(" ")).map((fields) => [fields[16], fields[38]]);
  console.log(JSON.stringify(niceness.filter(([nice, policy]) => nice !== "0" || policy !== "0")));
  await engine.close();
`;

const lowered = async (pool: "dedicated" | "shared"): Promise<unknown> => {
  const env = { ...process.env, UV_THREADPOOL_SIZE: "3" };
  const options = { env, cwd: process.cwd(), timeout: 30_000 };
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--input-type=module", "--eval", PROGRAM, pool],
    options,
  );
  return JSON.parse(stdout);
};

test("a waking pool thread never preempts; those of a dedicated pool weigh less too", {
  skip: process.platform !== "linux" && "thread priorities are Linux's",
}, async () => {
  assert.deepEqual(await lowered("dedicated"), [
    ["3", "3"],
    ["3", "3"],
    ["3", "3"],
  ]);
  assert.deepEqual(await lowered("shared"), [
    ["0", "3"],
    ["0", "3"],
    ["0", "3"],
  ]);
});
