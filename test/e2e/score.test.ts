/** `tenon score` from a table to a committed result. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { columnValue, parquet, sink } from "tenon/data";
import { runCli, startCli } from "../support/cli.js";
import { saveMatMul } from "../support/small-models.js";

describe("tenon score", () => {
  let folder: string;
  let model: string;
  const ROWS = 500;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "tenon-score-"));
    model = saveMatMul(join(folder, "m.onnx"));
    await using out = sink.parquet(join(folder, "in.parquet"), { rowGroup: 100 });
    const column = (f: (i: number) => number): Float32Array =>
      Float32Array.from({ length: ROWS }, (_, i) => f(i));
    const texts = Array.from({ length: ROWS }, (_, i) => (i === 123 || i === 321 ? "x" : String(i)));
    await out.write({
      f0: column((i) => i),
      f1: column((i) => -i),
      t: texts,
      id: Int32Array.from({ length: ROWS }, (_, i) => i),
    });
    await out.commit();
  });
  after(() => rmSync(folder, { recursive: true }));

  const score = (output: string, ...args: readonly string[]) =>
    runCli([
      "score",
      model,
      "--input",
      join(folder, "in.parquet"),
      "--output",
      resolve(folder, output),
      "--isolation",
      "inline",
      "--cache",
      "off",
      ...args,
    ]);

  it("writes kept columns and outputs in order, and the same bytes from shards", async () => {
    const done = await score(
      "whole",
      "--map",
      "x=f0..f1",
      "--keep",
      "id",
      "--rows-per-shard",
      "200",
      "--batch",
      "64",
    );
    assert.equal(done.code, 0, done.stderr);
    const success = JSON.parse(readFileSync(join(folder, "whole/_SUCCESS"), "utf8")) as {
      rows: number;
      quarantined: number;
      parts: unknown[];
    };
    assert.deepEqual([success.rows, success.quarantined, success.parts.length], [ROWS, 0, 3]);
    let row = 0;
    for await (const { data, rows } of parquet(join(folder, "whole/part-*.parquet"))) {
      assert.deepEqual(Object.keys(data), ["id", "y"]);
      for (let i = 0; i < rows; i++, row++) {
        assert.equal(columnValue(data.id!, i), row);
        assert.deepEqual(columnValue(data.y!, i), [row - 4 * row, 2 * row - 5 * row, 3 * row - 6 * row]);
      }
    }
    assert.equal(row, ROWS);
    const shard = (i: number) =>
      score(
        "shards",
        "--map",
        "x=f0..f1",
        "--keep",
        "id",
        "--rows-per-shard",
        "200",
        "--batch",
        "64",
        "--shard",
        `${i}/2`,
      );
    assert.equal((await shard(1)).code, 0);
    assert.ok(!readdirSync(join(folder, "shards")).includes("_SUCCESS"));
    assert.equal((await shard(0)).code, 0);
    for (const name of ["_SUCCESS", "part-00000.parquet", "part-00001.parquet", "part-00002.parquet"])
      assert.deepEqual(
        readFileSync(join(folder, "shards", name)),
        readFileSync(join(folder, "whole", name)),
        name,
      );
  });

  it("asks for --resume where the job is there, and refuses another plan", async () => {
    const args = ["--map", "x=f0..f1", "--keep", "id", "--rows-per-shard", "200", "--batch", "64"];
    const again = await score("whole", ...args);
    assert.equal(again.code, 2);
    assert.match(again.stderr, /--resume/);
    rmSync(join(folder, "whole/part-00001.parquet"));
    assert.equal((await score("whole", ...args, "--resume")).code, 0);
    const other = await score("whole", ...args.slice(0, -1), "32", "--resume");
    assert.equal(other.code, 3);
    assert.match(other.stderr, /differ in run\.batch/);
  });

  it("refuses to go on where the input changed meanwhile, and goes on where it is as it was", async () => {
    const table = join(folder, "late.parquet");
    const whole = readFileSync(join(folder, "in.parquet"));
    writeFileSync(table, whole);
    const late = (...args: readonly string[]) =>
      runCli([
        ...["score", model, "--input", table, "--output", join(folder, "late"), "--map", "x=f0..f1"],
        ...["--rows-per-shard", "100", "--isolation", "inline", "--cache", "off", ...args],
      ]);
    assert.equal((await late("--shard", "0/2")).code, 0);
    {
      await using out = sink.parquet(table);
      const rows = 500;
      const numbers = Float32Array.from({ length: rows }, (_, i) => -i);
      await out.write({ f0: numbers, f1: numbers, id: numbers });
      await out.commit();
    }
    const changed = await late("--resume");
    assert.equal(changed.code, 3, changed.stderr);
    assert.match(changed.stderr, /input\.files/);
    writeFileSync(table, whole);
    assert.equal((await late("--resume")).code, 0);
  });

  it("sets rows aside that cannot be read, gives nulls, or ends the job", async () => {
    const set = await score("aside", "--map", "x=t,f0", "--keep", "id");
    assert.equal(set.code, 0, set.stderr);
    const lines = readFileSync(join(folder, "aside/errors-00000.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { file: string; row: number; code: string });
    assert.deepEqual(
      lines.map(({ file, row, code }) => [file, row, code]),
      [
        ["in.parquet", 123, "TENSOR_VALUE"],
        ["in.parquet", 321, "TENSOR_VALUE"],
      ],
    );
    const found: unknown[] = [];
    for await (const { data, rows } of parquet(join(folder, "aside/part-*.parquet")))
      for (let i = 0; i < rows; i++) found.push(columnValue(data.id!, i));
    assert.deepEqual(
      found,
      Array.from({ length: ROWS }, (_, i) => i).filter((i) => i !== 123 && i !== 321),
    );
    assert.equal((await score("nulls", "--map", "x=t,f0", "--on-error", "null")).code, 0);
    for await (const { data, rows } of parquet(join(folder, "nulls/part-*.parquet")).batch(1000)) {
      assert.equal(rows, ROWS);
      assert.equal(columnValue(data.y!, 123), null);
      assert.deepEqual(columnValue(data.y!, 124), [124 + 4 * 124, 2 * 124 + 5 * 124, 3 * 124 + 6 * 124]);
    }
    assert.equal((await score("fail", "--map", "x=t,f0", "--on-error", "fail")).code, 4);
  });

  it("names the option that is wrong, and leaves nothing behind", async () => {
    const map = ["--map", "x=f0..f1"];
    for (const [args, said] of [
      [["--rows-per-shard", "x"], /--rows-per-shard/],
      [["--batch", "0"], /--batch/],
      [["--shard", "4/4"], /--shard/],
    ] as const) {
      const { code, stderr } = await score("nothing", ...map, ...args);
      assert.equal(code, 2);
      assert.match(stderr, said);
      assert.ok(!existsSync(join(folder, "nothing")));
    }
    const zipped = join(folder, "in.csv.gz");
    writeFileSync(zipped, gzipSync("f0,f1\n1,2\n"));
    const noRoom = await runCli(
      [
        "score",
        model,
        "--input",
        zipped,
        "--output",
        join(folder, "nothing"),
        ...map,
        "--isolation",
        "inline",
        "--cache",
        "off",
      ],
      { env: { TMPDIR: join(folder, "none") } },
    );
    assert.equal(noRoom.code, 2);
    assert.match(noRoom.stderr, /temporary folder cannot hold a table/);
    const nowhere = await runCli([
      "score",
      model,
      "--input",
      join(folder, "in.parquet"),
      "--output",
      "",
      ...map,
    ]);
    assert.equal(nowhere.code, 2);
    assert.match(nowhere.stderr, /needs --input and --output/);
    const onFile = await score("in.parquet", ...map);
    assert.equal(onFile.code, 2);
    assert.match(onFile.stderr, /folder of the result cannot be made/);
    if (process.platform === "linux") {
      const onProc = await score("/proc/x", ...map);
      assert.equal(onProc.code, 2);
      assert.match(onProc.stderr, /folder of the result cannot be made/);
    }
  });

  it("proposes a mapping where there is none", async () => {
    const { code, stderr } = await score("none");
    assert.equal(code, 3);
    assert.match(stderr, /--map x=f0\.\.f1/);
  });

  it("gives the same bytes after being killed at any time", async () => {
    const args = ["--map", "x=f0..f1", "--rows-per-shard", "100", "--batch", "1"];
    assert.equal((await score("calm", ...args)).code, 0);
    const all = [
      "score",
      model,
      "--input",
      join(folder, "in.parquet"),
      "--output",
      join(folder, "killed"),
      ...args,
    ];
    for (const delay of [420, 520, 560, 600, 640, 700]) {
      const child = startCli([...all, "--isolation", "inline", "--cache", "off", "--resume"]);
      const closed = once(child, "close");
      await sleep(delay);
      child.kill("SIGKILL");
      await closed;
    }
    const done = await score("killed", ...args, "--resume");
    assert.equal(done.code, 0, done.stderr);
    const names = readdirSync(join(folder, "calm")).filter((name) => name !== "plan.json");
    assert.deepEqual(
      readdirSync(join(folder, "killed")).filter((name) => name !== "plan.json"),
      names,
    );
    for (const name of names)
      assert.deepEqual(
        readFileSync(join(folder, "killed", name)),
        readFileSync(join(folder, "calm", name)),
        name,
      );
  });

  it("prints a Kubernetes job that shards by the pod's index", async () => {
    const { code, stdout } = await score("k8s", "--map", "x=f0..f1", "--shard", "0/3", "--emit", "k8s");
    assert.equal(code, 0);
    assert.match(stdout, /completionMode: Indexed\n {2}completions: 3\n/);
    assert.match(stdout, /"--map","x=f0\.\.f1","--shard","\$\(JOB_COMPLETION_INDEX\)\/3"\]/);
  });
});
