/** Runs that are killed at any moment go on with the same bits; Ctrl-C saves first. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";

const script = join(import.meta.dirname, "interrupted-run.js");

interface Ended {
  readonly lines: readonly string[];
  readonly code: number | null;
  readonly signal: string | null;
}

describe("a run that is interrupted", { concurrency: false }, () => {
  let folder = "";
  const children = new Set<ChildProcess>();
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "tenon-interrupted-"));
  });
  after(async () => {
    for (const child of children) child.kill("SIGKILL");
    await rm(folder, { recursive: true, force: true });
  });

  /** Runs into a folder; `signal` is sent when the line is said. */
  async function run(
    dir: string,
    stop?: { readonly line: string; readonly signal: NodeJS.Signals },
  ): Promise<Ended> {
    const child = spawn(process.execPath, [script, dir], { stdio: ["ignore", "pipe", "inherit"] });
    children.add(child);
    const ended = once(child, "exit") as Promise<[number | null, string | null]>;
    const lines: string[] = [];
    for await (const line of createInterface(child.stdout)) {
      lines.push(line);
      if (line === stop?.line) child.kill(stop.signal);
    }
    const [code, signal] = await ended;
    children.delete(child);
    return { lines, code, signal };
  }

  /** What a run leaves, by name; the moment's versions and paths are the same for both. */
  async function left(dir: string): Promise<Map<string, string>> {
    const files = (await readdir(dir, { recursive: true, withFileTypes: true })).filter((each) =>
      each.isFile(),
    );
    const contents = await Promise.all(
      files.map(async (each): Promise<[string, string]> => {
        const path = join(each.parentPath, each.name);
        return [path.slice(dir.length + 1), await readFile(path, "latin1")];
      }),
    );
    return new Map(contents.sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  test("by SIGKILL, twice, ends with the files of one that was not", async () => {
    const [whole, parts] = [join(folder, "whole"), join(folder, "parts")];
    const unbroken = await run(whole);
    assert.deepEqual([unbroken.code, unbroken.lines.at(-1)], [0, "end 25"]);
    assert.equal((await run(parts, { line: "step 5", signal: "SIGKILL" })).signal, "SIGKILL");
    assert.equal((await run(parts, { line: "checkpoint 15", signal: "SIGKILL" })).signal, "SIGKILL");
    const last = await run(parts);
    assert.equal(last.code, 0);
    assert.ok(Number(last.lines[0]!.split(" ")[1]) > 12, last.lines[0]);
    const [expected, found] = [await left(whole), await left(parts)];
    assert.deepEqual([...found.keys()], [...expected.keys()]);
    assert.ok(expected.has("metrics.jsonl") && expected.size > 4);
    for (const [name, content] of expected) assert.ok(found.get(name) === content, name);
  });

  test("by Ctrl-C finishes its step, saves, and ends well", async () => {
    const dir = join(folder, "stopped");
    const { lines, code } = await run(dir, { line: "step 5", signal: "SIGINT" });
    assert.equal(code, 0);
    const end = Number(/^end (\d+)$/.exec(lines.at(-1)!)![1]);
    assert.ok(end >= 5, `${end}`);
    assert.equal(lines.at(-2), `checkpoint ${end}`);
    assert.ok((await readdir(dir)).includes(`step-${String(end).padStart(6, "0")}`));
  });
});
