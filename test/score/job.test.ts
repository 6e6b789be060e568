/** Scoring jobs by the library: parts without rows, files of bad rows, text lists with nulls, mappings that cannot fit. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { isTenonError, TenonError } from "tenon/base";
import { columnValue, parquet, type SinkKind, sink, type Where } from "tenon/data";
import type { ValueSignature } from "tenon/runtime";
import { makePlan, type OnError, type PlanRequest, runJob, type Scorer, writePlan } from "tenon/score";
import { type DType, tensor } from "tenon/tensor";
import { serveFiles } from "../support/file-server.js";

const value = (name: string, dtype: DType, dims: readonly (number | string)[]): ValueSignature => ({
  name,
  dtype,
  dims,
});

/** Gives two texts a row; refuses batches with a negative number. */
const texts: Scorer = {
  signature: {
    inputs: [value("x", "float32", ["n", 1])],
    outputs: [value("y", "string", ["n", 2])],
  },
  async run({ x }) {
    const numbers = [...(x as { data: Float32Array }).data];
    if (numbers.some((number) => number < 0)) throw new TenonError("INPUT_VALUE", { problem: "below zero" });
    const y = numbers.flatMap((number) => [`${number}`, `${-number}`]);
    return { y: tensor(y, { shape: [numbers.length, 2] }), [Symbol.dispose]() {} };
  },
};

describe("a scoring job", () => {
  let folder: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "tenon-job-"));
    mkdirSync(join(folder, "in"));
    for (const [name, from] of [
      ["1", 0],
      ["11", 10],
    ] as const) {
      await using out = sink.parquet(join(folder, "in", `${name}.parquet`), { rowGroup: 5 });
      const numbers = Array.from({ length: 10 }, (_, i) => (from + i === 13 ? -13 : from + i));
      await out.write({ x: Float32Array.from(numbers), t: numbers.map(String) });
      await out.commit();
    }
  });
  after(() => rmSync(folder, { recursive: true }));

  async function run(
    output: string,
    change: {
      where?: Where;
      onError?: OnError;
      scorer?: Scorer;
      map?: string;
      input?: string;
      format?: SinkKind;
      keep?: "all" | "none";
    } = {},
  ) {
    const scorer = change.scorer ?? texts;
    const plan = await makePlan({
      scorer,
      modelSha256: "0",
      modelPath: "",
      ort: "0",
      tool: "test",
      input: [join(folder, change.input ?? "in/*.parquet")],
      map: change.map === undefined ? {} : { x: change.map },
      keep: change.keep ?? "all",
      where: change.where ?? {},
      format: change.format ?? "parquet",
      batch: 4,
      rowsPerShard: 5,
      onError: change.onError ?? "quarantine",
    });
    await writePlan(join(folder, output), plan);
    return runJob(plan, { folder: join(folder, output), scorer, inputRoot: plan.info.inputRoot });
  }

  it("refuses an object whose tag changed, takes a copy of it on disk, and tells mixed places apart", async () => {
    await using files = await serveFiles(join(folder, "in"));
    const remote = { privateHosts: ["127.0.0.1"] };
    const request: Omit<PlanRequest, "input"> = {
      ...{ scorer: texts, modelSha256: "0", modelPath: "", ort: "0", tool: "test", map: {}, where: {} },
      keep: "all",
      format: "jsonl",
      batch: 4,
      rowsPerShard: 10,
      onError: "quarantine",
      remote,
    };
    const plan = await makePlan({ ...request, input: [`${files.origin}/1.parquet`] });
    const output = join(folder, "remote");
    await writePlan(output, plan);
    files.bend = (_, response) => {
      const setHead = response.writeHead.bind(response);
      response.writeHead = ((status: number, head: Record<string, string>) =>
        setHead(status, { ...head, etag: '"other"' })) as never;
      return false;
    };
    const { inputRoot } = plan.info;
    await assert.rejects(runJob(plan, { folder: output, scorer: texts, inputRoot, remote }), {
      code: "PLAN_MISMATCH",
    });
    const copy = await runJob(plan, { folder: output, scorer: texts, inputRoot: join(folder, "in") });
    assert.equal(copy?.rows, 10);
    files.bend = () => false;
    const mixed = [`${files.origin}/1.parquet`, join(folder, "in/11.parquet")];
    await assert.rejects(makePlan({ ...request, input: mixed }), { code: "USAGE" });
  });

  async function rowsOf(output: string): Promise<[unknown, unknown][]> {
    const found: [unknown, unknown][] = [];
    for await (const { data, rows } of parquet(join(folder, output, "part-*.parquet")))
      for (let i = 0; i < rows; i++) found.push([columnValue(data.t!, i), columnValue(data.y!, i)]);
    return found;
  }

  it("writes the columns of a part that has no rows", async () => {
    const success = await run("filtered", { where: { x: { gt: 17 } } });
    assert.deepEqual(
      success?.parts.map(({ rows }) => rows),
      [0, 0, 0, 2],
    );
    assert.deepEqual(await rowsOf("filtered"), [
      ["18", ["18", "-18"]],
      ["19", ["19", "-19"]],
    ]);
  });

  it("names the file of a bad row, and leaves only the job's files", async () => {
    const success = await run("aside");
    assert.equal(success?.quarantined, 1);
    const error = JSON.parse(readFileSync(join(folder, "aside/errors-00002.jsonl"), "utf8")) as object;
    assert.deepEqual(error, { file: "11.parquet", row: 3, code: "INPUT_VALUE", message: "below zero" });
    await run("aside");
    assert.deepEqual(
      readdirSync(join(folder, "aside")).filter((name) => !/^(part|errors)-/.test(name)),
      ["_SUCCESS", "plan.json"],
    );
  });

  it("keeps the place of a bad row by nulls", async () => {
    await run("nulls", { onError: "null" });
    const found = await rowsOf("nulls");
    assert.deepEqual(found[12], ["12", ["12", "-12"]]);
    assert.deepEqual(found[13], ["-13", null]);
    assert.deepEqual(found[14], ["14", ["14", "-14"]]);
    assert.equal(found.length, 20);
  });

  it("reads and writes text formats, sets bad cells aside and goes on", async () => {
    writeFileSync(join(folder, "in.csv"), 'x,t\n1,007\nbad,b\n-1,c\n2,"d,e"\n');
    writeFileSync(join(folder, "in.jsonl"), '{"x":1,"t":"007"}\n{"x":"bad","t":"b"}\n');
    const csvJob = { input: "in.csv", format: "csv" } as const;
    const done = await run("to-csv", csvJob);
    assert.deepEqual([done?.rows, done?.quarantined], [2, 2]);
    const part = join(folder, "to-csv/part-00000.csv");
    assert.equal(readFileSync(part, "utf8"), 't,y\n007,"[""1"",""-1""]"\n"d,e","[""2"",""-2""]"\n');
    const before = statSync(part).mtimeMs;
    assert.deepEqual(await run("to-csv", csvJob), done);
    assert.equal(statSync(part).mtimeMs, before);
    rmSync(join(folder, "to-csv/.part-00000.json"));
    await assert.rejects(run("to-csv", csvJob), (error) => isTenonError(error, "PLAN_MISMATCH"));
    await assert.rejects(run("mixed", { input: "in.jsonl", format: "jsonl" }), /differ in type/);
    await run("to-jsonl", { ...csvJob, format: "jsonl" });
    assert.match(
      readFileSync(join(folder, "to-jsonl/part-00000.jsonl"), "utf8"),
      /^{"t":"007","y":\["1","-1"\]}\n/,
    );
    await assert.rejects(run("to-npy", { ...csvJob, format: "npy" }), (error) =>
      isTenonError(error, "USAGE"),
    );
    await assert.rejects(run("to-npy", { ...csvJob, format: "npy", keep: "none" }), (error) =>
      isTenonError(error, "TENSOR_DTYPE"),
    );
    writeFileSync(join(folder, "in.txt"), "");
    await assert.rejects(run("unknown", { input: "in.txt" }), /told by its name/);
  });

  it("refuses mappings that cannot fit before a row is read", async () => {
    const run0 = async () => Promise.reject(new TenonError("INTERNAL", { problem: "nothing runs" }));
    const inputs: readonly [ValueSignature, string][] = [
      [value("x", "string", ["n", 5]), "t"],
      [value("x", "string", ["n"]), "x"],
      [value("x", "float32", ["n", "m", 4]), "x,x"],
    ];
    for (const [input, map] of inputs) {
      const scorer: Scorer = {
        signature: { inputs: [input], outputs: texts.signature.outputs },
        run: run0,
      };
      await assert.rejects(
        () => run("unfit", { scorer, map }),
        (error) => isTenonError(error, "INPUT_MISSING") || isTenonError(error, "TENSOR_DTYPE"),
        map,
      );
    }
  });
});
