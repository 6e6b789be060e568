/** examples/01-serve as `npm start` runs it: the URL it prints answers its request, and its picture shows the text. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";
import { collect } from "../support/cli.js";

const root = resolve(import.meta.dirname, "../../..");
const script = (name: string): string => resolve(root, "build/examples/01-serve", name);

test("the example serves, answers and ends", { timeout: 60_000 }, async () => {
  const env = { ...process.env, TENON_HTTP_PORT: "0" };
  const example = spawn(process.execPath, [script("main.js")], { cwd: root, env });
  const stdout = collect(example.stdout);
  while (!/^curl .*\n/m.test(stdout())) await once(example.stdout, "data");
  const url = /^curl -s (\S+) -d @(\S+) \| node (\S+)$/m.exec(stdout())!;
  const body = readFileSync(resolve(root, url[2]!));
  const answer = await fetch(url[1]!, { method: "POST", body });
  const show = spawn(process.execPath, [resolve(root, url[3]!)]);
  const picture = collect(show.stdout);
  show.stdin.end(await answer.text());
  await once(show, "close");
  assert.match(picture(), /^outputs: \S+ FP32 \[1, 1, 32, 64\]\n[\s\S]*#{20}/);
  example.kill("SIGTERM");
  assert.deepEqual(await once(example, "close"), [0, null]);
});
