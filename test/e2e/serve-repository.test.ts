/** A Triton model repository: each model as its config.pbtxt says, and what is wrong with one does not stop the others. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { collect, firstLine, startCli } from "../support/cli.js";
import { simpleModel, simpleRequest } from "../support/served.js";

const CONFIGS: Readonly<Record<string, string>> = {
  labelled: `
    name: "labelled" platform: "onnxruntime_onnx" max_batch_size: 4
    input [ { name: "INPUT0" data_type: TYPE_INT32 dims: [ 16 ] }, { name: "INPUT1" data_type: TYPE_INT32 dims: [ 16 ] } ]
    output [ { name: "OUTPUT0" data_type: TYPE_INT32 dims: [ 16 ] label_filename: "labels.txt" } ]
    instance_group [ { count: 2 kind: KIND_CPU } ]`,
  unbatched: 'backend: "onnxruntime" output { name: "OUTPUT1" data_type: TYPE_INT32 dims: [ -1, 16 ] }',
  "bare-file": "",
  misspelt: "max_batch_size: 8\ninputs { }",
  "other-dims": 'max_batch_size: 8 input { name: "INPUT0" data_type: TYPE_INT32 dims: 15 }',
  "other-type": 'output { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ -1, 16 ] }',
  "other-name": 'name: "simple"',
  sequence: "sequence_batching { }",
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

  let child: ReturnType<typeof startCli>;
  let log: () => string;
  let ready: {
    url: string;
    models: { name: string }[];
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
    assert.deepEqual(ready.models.map(({ name }) => name).sort(), ["bare-file", "labelled", "unbatched"]);
    const failed = Object.fromEntries(
      ready.failed.map(({ name, code, problem }) => [name, `${code} ${problem}`]),
    );
    assert.match(
      failed.misspelt!,
      /^CONFIG_INVALID misspelt\/config\.pbtxt:2:1: ModelConfig has no field "inputs"/,
    );
    assert.match(failed["other-dims"]!, /^MODEL_INVALID .*input "INPUT0" has dims \[15\]/);
    assert.match(failed["other-type"]!, /^MODEL_INVALID .*output "OUTPUT0" is TYPE_FP32/);
    assert.match(failed["other-name"]!, /^CONFIG_INVALID .*names the model "simple"/);
    assert.match(failed.sequence!, /^MODEL_UNSUPPORTED .*sequence_batching/);
    assert.match(failed["label-escape"]!, /^CONFIG_INVALID .*no file beside it/);
    assert.match(log(), /instance_group.* is not followed/);
  });

  const infer = async (
    model: string,
    body: string,
  ): Promise<{ outputs: { name: string; data: unknown[] }[] }> => {
    const answer = await fetch(`${ready.url}/v2/models/${model}/infer`, { method: "POST", body });
    assert.equal(answer.status, 200);
    return (await answer.json()) as { outputs: { name: string; data: unknown[] }[] };
  };

  it("answers classes with their labels", async () => {
    const outputs = [{ name: "OUTPUT0", parameters: { classification: 2 } }];
    const { outputs: answered } = await infer("labelled", simpleRequest(0, { outputs }));
    assert.deepEqual(answered[0]!.data, ["16:15:class 15", "15:14:class 14"]);
    const other = await infer("unbatched", simpleRequest(0, { outputs }));
    assert.deepEqual(other.outputs[0]!.data, ["16:15", "15:14"]);
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
