/** A Triton model repository: each model as its config.pbtxt says, and what is wrong with one does not stop the others. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ERROR_CODES } from "tenon/base";
import { collect, firstLine, startCli } from "../support/cli.js";
import { simpleModel, simpleRequest } from "../support/served.js";

const CONFIGS: Readonly<Record<string, string>> = {
  labelled: `
    name: "labelled" platform: "onnxruntime_onnx" max_batch_size: 4
    input [ { name: "INPUT0" data_type: TYPE_INT32 dims: [ 16 ] }, { name: "INPUT1" data_type: TYPE_INT32 dims: [ 16 ] } ]
    output [ { name: "OUTPUT0" data_type: TYPE_INT32 dims: [ 16 ] label_filename: "labels.txt" } ]
    instance_group [ { count: 2 kind: KIND_GPU } ] parameters { key: "mine" value { string_value: "7" } }`,
  unbatched: 'backend: "onnxruntime" output { name: "OUTPUT1" data_type: TYPE_INT32 dims: [ -1, 16 ] }',
  "bare-file": "",
  rules: `max_batch_size: 4
    dynamic_batching { preferred_batch_size: [ 2, 4 ] max_queue_delay_microseconds: 100
      priority_levels: 2 default_priority_level: 2
      default_queue_policy { timeout_action: REJECT default_timeout_microseconds: 60000000 } }
    instance_group { count: 1 }
    model_warmup { name: "zeros" batch_size: 2
      inputs { key: "INPUT0" value { data_type: TYPE_INT32 dims: 16 zero_data: true } }
      inputs { key: "INPUT1" value { data_type: TYPE_INT32 dims: 16 input_data_file: "ones" } } }`,
  versions: "version_policy { specific { versions: [ 1, 3, 9 ] } }",
  latest: "version_policy: { latest: { num_versions: 2 } }",
  "other-file": 'default_model_filename: "net.onnx"',
  "bad-version": "version_policy { all { } }",
  "bad-warmup": `model_warmup { name: "few" batch_size: 1
      inputs { key: "INPUT0" value { data_type: TYPE_INT32 dims: 16 zero_data: true } } }`,
  "bad-sizes": "max_batch_size: 4\ndynamic_batching {\n  preferred_batch_size: 5 }",
  misspelt: "max_batch_size: 8\ninputs { }",
  "other-dims": 'max_batch_size: 8 input { name: "INPUT0" data_type: TYPE_INT32 dims: 15 }',
  "other-type": 'output { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ -1, 16 ] }',
  narrow:
    'max_batch_size: 8 input { name: "INPUT0" data_type: TYPE_INT32 dims: 16 optional: true } input { name: "INPUT1" data_type: TYPE_INT32 dims: [ 4, 4 ] reshape { shape: 16 } } output { name: "OUTPUT1" data_type: TYPE_INT32 dims: [ 2, 8 ] reshape { shape: 16 } }',
  "other-size":
    'max_batch_size: 8 input { name: "INPUT0" data_type: TYPE_INT32 dims: [ 4, 3 ] reshape { shape: 16 } } input { name: "INPUT1" data_type: TYPE_INT32 dims: 16 }',
  "other-name": 'name: "simple"',
  agents: 'model_repository_agents { agents [ { name: "sign" } ] }',
  "label-escape":
    'output { name: "OUTPUT0" data_type: TYPE_INT32 dims: [-1,16] label_filename: "../labels.txt" }',
};

describe("a Triton repository", () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-repository-"));
  after(() => rmSync(folder, { recursive: true }));
  for (const [name, config] of Object.entries(CONFIGS)) {
    mkdirSync(join(folder, name, "1"), { recursive: true });
    writeFileSync(join(folder, name, "1/model.onnx"), simpleModel());
    if (config !== "") writeFileSync(join(folder, name, "config.pbtxt"), config);
  }
  writeFileSync(
    join(folder, "labelled/labels.txt"),
    `${Array.from({ length: 16 }, (_, i) => `class ${i}`).join("\n")}\n`,
  );

  for (const version of ["2", "3"]) {
    for (const name of ["versions", "latest", "bad-version"]) {
      mkdirSync(join(folder, name, version));
      const broken = name === "bad-version" && version === "2";
      writeFileSync(join(folder, name, version, "model.onnx"), broken ? "no model" : simpleModel());
    }
  }
  mkdirSync(join(folder, "rules/warmup"));
  writeFileSync(join(folder, "rules/warmup/ones"), Buffer.from(new Int32Array(32).fill(1).buffer));
  renameSync(join(folder, "other-file/1/model.onnx"), join(folder, "other-file/1/net.onnx"));

  let child: ReturnType<typeof startCli>;
  let log: () => string;
  let ready: {
    url: string;
    models: { name: string; version: string }[];
    failed: { name: string; code: string; problem: string }[];
  };
  before(async () => {
    child = startCli(["serve", folder, "--json", "--isolation", "inline"], {
      cwd: folder,
      env: { TENON_CACHE: "off", TENON_HTTP_PORT: "0" },
    });
    log = collect(child.stderr);
    ready = JSON.parse(await firstLine(child));
  });
  after(async () => {
    child.kill("SIGTERM");
    await once(child, "close");
  });

  it("serves what fits and names what does not, with the place or the field", () => {
    assert.deepEqual(ready.models.map(({ name, version }) => `${name} ${version}`).sort(), [
      "bare-file 1",
      "labelled 1",
      "latest 2",
      "latest 3",
      "narrow 1",
      "other-file 1",
      "rules 1",
      "unbatched 1",
      "versions 1",
      "versions 3",
    ]);
    const failed = Object.fromEntries(
      ready.failed.map(({ name, code, problem }) => [name, `${code} ${problem}`]),
    );
    assert.match(
      failed.misspelt!,
      /^CONFIG_INVALID misspelt\/config\.pbtxt:2:1: ModelConfig has no field "inputs"/,
    );
    assert.match(
      failed["other-dims"]!,
      /^MODEL_INVALID other-dims\/config\.pbtxt:1:64: .*input "INPUT0" has dims \[15\]/,
    );
    assert.match(failed["other-type"]!, /^MODEL_INVALID .*:1:26: .*output "OUTPUT0" is TYPE_FP32/);
    assert.match(
      failed["other-size"]!,
      /^CONFIG_INVALID .*:1:79: reshape of "INPUT0" makes \[16\] of \[4, 3\]/,
    );
    assert.match(failed["other-name"]!, /^CONFIG_INVALID .*:1:1: names the model "simple"/);
    assert.match(failed.agents!, /^MODEL_UNSUPPORTED .*:1:1: .*model_repository_agents/);
    assert.match(failed["label-escape"]!, /^CONFIG_INVALID .*no file beside it/);
    assert.match(
      failed["bad-sizes"]!,
      /^CONFIG_INVALID bad-sizes\/config\.pbtxt:3:3: preferred_batch_size is 5/,
    );
    assert.match(failed["bad-warmup"]!, /^MODEL_INVALID .*:1:1: the warm-up "few" does not run.*INPUT1/);
    assert.match(failed["bad-version"]!, /^MODEL_INVALID /);
    assert.match(log(), /labelled\/config.pbtxt:5:33: KIND_GPU: the model runs on the processor/);
    assert.match(log(), /versions\/config.pbtxt:1:1: there is no version 9/);
  });

  const infer = async (
    model: string,
    body: string,
  ): Promise<{ outputs: { name: string; data: unknown[] }[] }> => {
    const answer = await fetch(`${ready.url}/v2/models/${model}/infer`, { method: "POST", body });
    assert.equal(answer.status, 200);
    return (await answer.json()) as { outputs: { name: string; data: unknown[] }[] };
  };

  it("gives the model its own shape, and clients theirs", async () => {
    const row = Array.from({ length: 16 }, (_, i) => i);
    const ask = (shape: readonly number[]): object => ({
      inputs: [
        { name: "INPUT0", datatype: "INT32", shape: [1, 16], data: row },
        { name: "INPUT1", datatype: "INT32", shape, data: row.map(() => 1) },
      ],
    });
    const { outputs } = await infer("narrow", JSON.stringify(ask([1, 4, 4])));
    assert.deepEqual(
      outputs.map(({ name, data, ...rest }) => [name, (rest as { shape?: number[] }).shape, data[3]]),
      [
        ["OUTPUT0", [1, 16], 4],
        ["OUTPUT1", [1, 2, 8], 2],
      ],
    );
    const body = JSON.stringify(ask([1, 16]));
    const refused = await fetch(`${ready.url}/v2/models/narrow/infer`, { method: "POST", body });
    assert.equal(refused.status, 400);
    assert.match(((await refused.json()) as { error: string }).error, /Expected \[-1,4,4\], got \[1,16\]/);
    assert.match(log(), /narrow\/config\.pbtxt:1:73: input .*INPUT0.* is asked for all the same/);
  });

  it("answers classes with their labels", async () => {
    const outputs = [{ name: "OUTPUT0", parameters: { classification: 2 } }];
    const { outputs: answered } = await infer("labelled", simpleRequest(0, { outputs }));
    assert.deepEqual(answered[0]!.data, ["16:15:class 15", "15:14:class 14"]);
    const other = await infer("unbatched", simpleRequest(0, { outputs }));
    assert.deepEqual(other.outputs[0]!.data, ["16:15", "15:14"]);
  });

  it("serves the versions that the policy names, all of them or none", async () => {
    const versions = async (model: string): Promise<unknown> =>
      ((await (await fetch(`${ready.url}/v2/models/${model}`)).json()) as { versions: unknown }).versions;
    assert.deepEqual(await versions("versions"), ["1", "3"]);
    assert.deepEqual(await versions("latest"), ["2", "3"]);
    assert.equal(await versions("bad-version"), undefined);
    const index = await fetch(`${ready.url}/v2/repository/index`, { method: "POST" });
    const rows = ((await index.json()) as { name: string }[]).filter(({ name }) => name === "bad-version");
    assert.deepEqual(rows, [
      {
        name: "bad-version",
        version: "2",
        state: "UNAVAILABLE",
        reason: `MODEL_INVALID: ${ERROR_CODES.MODEL_INVALID.replace(/\.$/, "")}`,
      },
    ]);
  });

  it("follows the rules for batches, and tells them", async () => {
    const config = (await (await fetch(`${ready.url}/v2/models/rules/config`)).json()) as {
      dynamic_batching: object;
      instance_group: object[];
      model_warmup: { inputs: Record<string, object> }[];
    };
    assert.deepEqual(config.dynamic_batching, {
      preferred_batch_size: [2, 4],
      max_queue_delay_microseconds: 100,
      preserve_ordering: false,
      priority_levels: 2,
      default_priority_level: 2,
      default_queue_policy: {
        timeout_action: "REJECT",
        default_timeout_microseconds: 60000000,
        allow_timeout_override: false,
        max_queue_size: 0,
      },
      priority_queue_policy: {},
    });
    assert.deepEqual(Object.keys(config.model_warmup[0]!.inputs), ["INPUT0", "INPUT1"]);
    await infer("rules", simpleRequest(0, { parameters: { priority: 1, timeout: 1 } }));
    const row = new Array(80).fill(1);
    const inputs = ["INPUT0", "INPUT1"].map((name) => ({
      name,
      shape: [5, 16],
      datatype: "INT32",
      data: row,
    }));
    const answer = await fetch(`${ready.url}/v2/models/rules/infer`, {
      method: "POST",
      body: JSON.stringify({ inputs }),
    });
    assert.equal(answer.status, 400);
    assert.match(await answer.text(), /inference request batch-size must be <= 4 for 'rules'/);
  });

  it("takes max_batch_size from the configuration, and completes it where there is none", async () => {
    const config = async (model: string): Promise<{ max_batch_size: number; input: { dims: number[] }[] }> =>
      (await (await fetch(`${ready.url}/v2/models/${model}/config`)).json()) as never; // as the server writes it
    const [labelled, unbatched, bare] = await Promise.all(["labelled", "unbatched", "bare-file"].map(config));
    assert.deepEqual([labelled!.max_batch_size, labelled!.input[0]!.dims], [4, [16]]);
    assert.deepEqual([unbatched!.max_batch_size, unbatched!.input[0]!.dims], [0, [-1, 16]]);
    assert.ok(bare!.max_batch_size > 1);
  });
});
