/** Ensembles of a Triton repository: several models answer as one, and what contradicts itself is named at its load. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { firstLine, startCli } from "../support/cli.js";
import { modelBytes as model } from "../support/repository.js";

/** y = x + x. */
const double = model((g) => {
  const x = g.input("x", "float32", ["N", 4]);
  g.output(g.add("Add", [x, x]), "y");
});
/** z = a * a, and the sums of its rows. */
const square = model((g) => {
  const a = g.input("a", "float32", ["N", 4]);
  const z = g.add("Mul", [a, a]);
  g.output(z, "z");
  g.output(g.add("Neg", [z]), "minus");
});
const sum = model((g) => {
  const [l, r] = [g.input("l", "float32", ["N", "C"]), g.input("r", "float32", ["N", "C"])];
  g.output(g.add("Add", [l, r]), "s");
});
const ints = model((g) => g.output(g.add("Identity", [g.input("x", "int32", ["N", 4])]), "y"));

const value = (name: string, type = "TYPE_FP32", dims = "4"): string =>
  `{ name: "${name}" data_type: ${type} dims: [ ${dims} ] }`;
const step = (name: string, inputs: Record<string, string>, outputs: Record<string, string>): string => {
  const map = (field: string, entries: Record<string, string>): string =>
    Object.entries(entries)
      .map(([key, tensor]) => `${field} { key: "${key}" value: "${tensor}" }`)
      .join(" ");
  return `step { model_name: "${name}" model_version: -1 ${map("input_map", inputs)} ${map("output_map", outputs)} }`;
};
const ensemble = (steps: readonly string[], out = "OUT", head = "max_batch_size: 8"): string =>
  `platform: "ensemble" ${head} input [ ${value("IN")} ] output [ ${value(out)} ]\nensemble_scheduling {\n${steps.join("\n")}\n}`;

const DIAMOND = `platform: "ensemble" max_batch_size: 8
input [ ${value("IN")} ] output [ ${value("OUT")}, ${value("DOUBLED")} ]
ensemble_scheduling {
${step("sum", { l: "DOUBLED", r: "squared" }, { s: "OUT" })}
${step("double", { x: "IN" }, { y: "DOUBLED" })}
${step("square", { a: "IN" }, { z: "squared" })}
}`;

const BROKEN: Readonly<Record<string, readonly [string, RegExp]>> = {
  circle: [
    ensemble([
      step("sum", { l: "IN", r: "b" }, { s: "a" }),
      step("double", { x: "a" }, { y: "b" }),
      step("double", { x: "b" }, { y: "OUT" }),
    ]),
    /circle\/config\.pbtxt:4:47: the steps wait for each other: "double" \(step 2\) → "sum" \(step 1\) → "double" \(step 2\)/,
  ],
  nothing: [ensemble([]), /nothing\/config\.pbtxt:2:1: the ensemble has no step/],
  absent: [
    ensemble([step("none", { x: "IN" }, { y: "OUT" })]),
    /absent\/config\.pbtxt:3:8: there is no model "none"/,
  ],
  unmade: [
    ensemble([step("double", { x: "IM" }, { y: "OUT" })]),
    /unmade\/config\.pbtxt:3:47: the step of "double" takes the tensor "IM", which nothing makes/,
  ],
  unanswered: [
    ensemble([step("double", { x: "IN" }, { y: "OUTT" })]),
    /unanswered\/config\.pbtxt:1:\d+: no step makes the output "OUT"/,
  ],
  twice: [
    ensemble([step("double", { x: "IN" }, { y: "OUT" }), step("square", { a: "IN" }, { z: "OUT" })]),
    /twice\/config\.pbtxt:4:\d+: step 2 makes the tensor "OUT", which is made by step 1 already/,
  ],
  "other-type": [
    ensemble([step("ints", { x: "IN" }, { y: "OUT" })]),
    /other-type\/config\.pbtxt:3:\d+: the step of "ints" gives its input "x", TYPE_INT32 \[-1, 4\], the tensor "IN": the ensemble's input is TYPE_FP32 \[-1, 4\]/,
  ],
  "other-shape": [
    ensemble([step("sum", { l: "IN", r: "IN" }, { s: "OUT" })], "OUT", "max_batch_size: 0"),
    /other-shape\/config\.pbtxt:3:\d+: .*TYPE_FP32 \[-1, -1\], the tensor "IN": the ensemble's input is TYPE_FP32 \[4\]/,
  ],
  "half-fed": [
    ensemble([step("sum", { l: "IN" }, { s: "OUT" })]),
    /half-fed\/config\.pbtxt:3:\d+: the step of "sum" gives it no input "r"/,
  ],
  "odd-input": [
    ensemble([step("double", { X: "IN" }, { y: "OUT" })]),
    /the step of "double" gives it the input "X", which it does not have/,
  ],
  "odd-output": [
    ensemble([step("double", { x: "IN" }, { Y: "OUT" })]),
    /the step of "double" takes its output "Y", which it does not have/,
  ],
  "too-many": [
    ensemble([step("two-rows", { x: "IN" }, { y: "OUT" })]),
    /too-many\/config\.pbtxt:1:\d+: the ensemble takes 8 rows, but its model "two-rows" only 2/,
  ],
  "round-a": [
    ensemble([step("round-b", { IN: "IN" }, { OUT: "OUT" })]),
    /ensembles contain each other: round-/,
  ],
  "round-b": [
    ensemble([step("round-a", { IN: "IN" }, { OUT: "OUT" })]),
    /ensembles contain each other: round-/,
  ],
  itself: [ensemble([step("itself", { IN: "IN" }, { OUT: "OUT" })]), /a step runs the ensemble itself/],
  platform: [
    ensemble([step("double", { x: "IN" }, { y: "OUT" })]).replace('"ensemble"', '"onnxruntime_onnx"'),
    /platform is "onnxruntime_onnx" beside ensemble_scheduling/,
  ],
  instances: [
    ensemble(
      [step("double", { x: "IN" }, { y: "OUT" })],
      "OUT",
      "max_batch_size: 8 instance_group { count: 2 }",
    ),
    /an ensemble has no instances/,
  ],
};

interface Ready {
  readonly url: string;
  readonly models: readonly { readonly name: string }[];
  readonly failed: readonly { readonly name: string; readonly problem: string }[];
}

interface Answer {
  readonly status: number;
  readonly error?: string;
  readonly outputs: readonly { readonly name: string; readonly shape: number[]; readonly data: number[] }[];
}

function repository(): string {
  const folder = mkdtempSync(join(tmpdir(), "tenon-ensemble-"));
  const put = (path: string, content: string | Uint8Array): void => {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), content);
  };
  for (const [name, bytes] of Object.entries({ double, square, sum, ints, "two-rows": double }))
    put(`${name}/1/model.onnx`, bytes);
  put("two-rows/config.pbtxt", "max_batch_size: 2");
  put("diamond/config.pbtxt", DIAMOND);
  put("nested/config.pbtxt", ensemble([step("diamond", { IN: "IN" }, { OUT: "OUT" })]));
  for (const [name, [config]] of Object.entries(BROKEN)) put(`${name}/config.pbtxt`, config);
  return folder;
}

function client(url: string): {
  infer: (model: string, rows?: number, extra?: object) => Promise<Answer>;
  count: (model: string) => Promise<{ requests: number; rows: number; runs: number }>;
  post: (path: string, body?: object) => Promise<Response>;
} {
  const post = (path: string, body?: object): Promise<Response> =>
    fetch(`${url}${path}`, { method: "POST", body: body === undefined ? null : JSON.stringify(body) });
  const infer = async (name: string, rows = 1, extra: object = {}): Promise<Answer> => {
    const data = Array.from({ length: rows * 4 }, (_, i) => i + 1);
    const inputs = [{ name: "IN", datatype: "FP32", shape: [rows, 4], data }];
    const answer = await post(`/v2/models/${name}/infer`, { inputs, ...extra });
    return { status: answer.status, ...((await answer.json()) as Omit<Answer, "status">) };
  };
  const count = async (name: string): Promise<{ requests: number; rows: number; runs: number }> => {
    const answer = await fetch(`${url}/v2/models/${name}/stats`);
    const [stats] = ((await answer.json()) as { model_stats: unknown[] }).model_stats as [
      { inference_count: number; execution_count: number; inference_stats: { success: { count: number } } },
    ];
    return {
      requests: stats.inference_stats.success.count,
      rows: stats.inference_count,
      runs: stats.execution_count,
    };
  };
  return { infer, count, post };
}

async function start(
  folder: string,
  ...args: readonly string[]
): Promise<[ReturnType<typeof startCli>, Ready]> {
  const child = startCli(["serve", folder, "--json", "--isolation", "inline", ...args], {
    env: { TENON_CACHE: "off", TENON_HTTP_PORT: "0" },
  });
  return [child, JSON.parse(await firstLine(child)) as Ready];
}

async function end(child: ReturnType<typeof startCli>): Promise<void> {
  child.kill("SIGTERM");
  await once(child, "close");
}

describe("ensembles", () => {
  const folder = repository();
  let child: ReturnType<typeof startCli>;
  let ready: Ready;
  let served: ReturnType<typeof client>;
  before(async () => {
    [child, ready] = await start(folder);
    served = client(ready.url);
  });
  after(async () => {
    await end(child);
    rmSync(folder, { recursive: true });
  });

  it("are told apart at their load: each fault by file, place and field", () => {
    const failed = new Map(ready.failed.map(({ name, problem }) => [name, problem]));
    assert.deepEqual([failed.get("diamond"), failed.get("nested")], [undefined, undefined]);
    assert.deepEqual([...failed.keys()].sort(), Object.keys(BROKEN).sort());
    for (const [name, [, words]] of Object.entries(BROKEN)) assert.match(failed.get(name)!, words, name);
    assert.deepEqual(ready.models.map(({ name }) => name).sort(), [
      "diamond",
      "double",
      "ints",
      "nested",
      "square",
      "sum",
      "two-rows",
    ]);
  });

  it("answer as one model, whatever the order of their steps", async () => {
    const { status, outputs } = await served.infer("diamond", 2);
    assert.equal(status, 200);
    const xs = Array.from({ length: 8 }, (_, i) => i + 1);
    assert.deepEqual(outputs, [
      { name: "OUT", datatype: "FP32", shape: [2, 4], data: xs.map((x) => x * x + 2 * x) },
      { name: "DOUBLED", datatype: "FP32", shape: [2, 4], data: xs.map((x) => 2 * x) },
    ]);
    const metadata = await (await fetch(`${ready.url}/v2/models/diamond`)).json();
    assert.equal((metadata as { platform: string }).platform, "ensemble");
    const config = (await (await fetch(`${ready.url}/v2/models/diamond/config`)).json()) as {
      platform: string;
      ensemble_scheduling: { step: { model_name: string }[] };
    };
    assert.equal(config.platform, "ensemble");
    assert.deepEqual(
      config.ensemble_scheduling.step.map(({ model_name }) => model_name),
      ["sum", "double", "square"],
    );
  });

  it("run only the steps that are asked for, and count for each model", async () => {
    const names = ["diamond", "double", "square", "sum"];
    const before = await Promise.all(names.map(served.count));
    const outputs = [{ name: "DOUBLED" }];
    const answer = await served.infer("diamond", 3, { outputs });
    assert.deepEqual(
      answer.outputs.map(({ name }) => name),
      ["DOUBLED"],
    );
    await served.infer("nested", 2);
    const after = await Promise.all(names.map(served.count));
    const grown = after.map((now, i) => [
      now.requests - before[i]!.requests,
      now.rows - before[i]!.rows,
      now.runs - before[i]!.runs,
    ]);
    assert.deepEqual(grown, [
      [2, 5, 2],
      [2, 5, 2],
      [1, 2, 1],
      [1, 2, 1],
    ]);
  });

  it("refuse what does not fit, and name the model inside", async () => {
    const many = await served.infer("diamond", 9);
    assert.deepEqual(
      [many.status, many.error],
      [400, "[request id: <id_unknown>] inference request batch-size must be <= 8 for 'diamond'"],
    );
    const inputs = [{ name: "IN", datatype: "FP32", shape: [1, 3], data: [1, 2, 3] }];
    const narrow = await served.post("/v2/models/diamond/infer", { inputs });
    assert.equal(narrow.status, 400);
    assert.match(((await narrow.json()) as { error: string }).error, /Expected \[-1,4\], got \[1,3\]/);
  });

  it("serve while their models do", async () => {
    const [explicit, { url }] = await start(folder, "--model-control", "explicit");
    try {
      const { infer, post } = client(url);
      const index = async (): Promise<Readonly<Record<string, string>>> => {
        const rows = (await (await post("/v2/repository/index")).json()) as {
          name: string;
          state?: string;
          reason?: string;
        }[];
        return Object.fromEntries(
          rows.filter(({ state }) => state).map((r) => [r.name, `${r.state} ${r.reason ?? ""}`]),
        );
      };
      assert.equal((await post("/v2/repository/models/nested/load")).status, 200);
      assert.deepEqual(Object.keys(await index()).sort(), ["diamond", "double", "nested", "square", "sum"]);
      assert.equal((await infer("nested")).status, 200);
      assert.equal((await post("/v2/repository/models/square/unload")).status, 200);
      const lost = await infer("nested");
      assert.deepEqual(
        [lost.status, lost.error],
        [404, "Request for unknown model: 'nested' has no available versions"],
      );
      await post("/v2/repository/models/circle/load");
      const rows = await index();
      assert.match(rows.circle!, /"double" \(step 2\) → "sum" \(step 1\)/);
      assert.match(
        rows.diamond!,
        /^UNAVAILABLE .*ensemble 'diamond' depends on 'square' which has no loaded version/,
      );
      assert.match(rows.nested!, /^UNAVAILABLE .*'nested' depends on 'diamond'/);
      assert.equal((await post("/v2/repository/models/square/load")).status, 200);
      assert.equal((await infer("nested")).status, 200);
      const parameters = { unload_dependents: true };
      assert.equal((await post("/v2/repository/models/nested/unload", { parameters })).status, 200);
      for (const name of ["nested", "diamond"]) assert.equal((await infer(name)).status, 404);
      assert.equal((await infer("double")).status, 404);
    } finally {
      await end(explicit);
    }
  });
});
