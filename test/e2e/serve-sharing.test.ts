/** Kept answers and shared runs, as a model's files ask for them; statistics tell hits from misses. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { modelBytes, type ServedRepository, serveRepository } from "../support/repository.js";

const square = modelBytes((g) => {
  const x = g.input("x", "float32", ["N", 2]);
  g.output(g.add("Mul", [x, x]), "y");
  g.output(g.add("Neg", [x]), "z");
});

describe("answers that are kept or shared", () => {
  let served: ServedRepository;
  before(async () => {
    const model = { "1/model.onnx": square };
    const folder = (name: string, files: Record<string, string>): Record<string, string | Uint8Array> =>
      Object.fromEntries(
        Object.entries({ ...model, ...files }).map(([path, content]) => [`${name}/${path}`, content]),
      );
    served = await serveRepository({
      ...folder("kept", { "config.pbtxt": "max_batch_size: 4 response_cache { enable: true }" }),
      ...folder("by-json", { "model.json": '{ "cache": true, "share": true }' }),
      ...folder("off", {
        "config.pbtxt": "response_cache { enable: true }",
        "model.json": '{ "cache": false }',
      }),
      "whole/config.pbtxt": `max_batch_size: 4 response_cache { enable: true }
        input { name: "x" data_type: TYPE_FP32 dims: 2 } output { name: "out" data_type: TYPE_FP32 dims: 2 }
        ensemble_scheduling { step { model_name: "off" model_version: -1
          input_map { key: "x" value: "x" } output_map { key: "y" value: "out" } } }`,
      ...folder("misspelt", { "model.json": '{ "shared": true }' }),
      ...folder("no-flag", { "model.json": '{ "share": 1 }' }),
      ...folder("no-json", { "model.json": "{ share: true }" }),
    });
  });
  after(() => served[Symbol.asyncDispose]());

  const ask = async (
    model: string,
    values: readonly number[],
    outputs?: readonly string[],
  ): Promise<unknown> => {
    const answer = await served.post(`/v2/models/${model}/infer`, {
      inputs: [{ name: "x", datatype: "FP32", shape: [values.length / 2, 2], data: values }],
      ...(outputs === undefined ? {} : { outputs: outputs.map((name) => ({ name })) }),
    });
    const told = (await answer.json()) as { outputs: { name: string; data: number[] }[] };
    return Object.fromEntries(told.outputs.map(({ name, data }) => [name, data]));
  };
  const counts = async (model: string): Promise<readonly number[]> => {
    const { model_stats } = (await served.get(`/v2/models/${model}/stats`)) as {
      model_stats: { execution_count: number; inference_stats: Record<string, { count: number }> }[];
    };
    const { execution_count, inference_stats } = model_stats[0]!;
    return [
      execution_count,
      inference_stats.success!.count,
      inference_stats.cache_hit!.count,
      inference_stats.cache_miss!.count,
    ];
  };

  it("refuses a model.json with words that it does not know", () => {
    const failed = Object.fromEntries(
      served.ready.failed.map(({ name, code, problem }) => [name, `${code} ${problem}`]),
    );
    assert.deepEqual(Object.keys(failed).sort(), ["misspelt", "no-flag", "no-json"]);
    assert.equal(failed.misspelt, 'CONFIG_INVALID misspelt/model.json: has a member "shared"');
    assert.equal(failed["no-flag"], 'CONFIG_INVALID no-flag/model.json: "share" is no boolean');
    assert.match(failed["no-json"]!, /^CONFIG_INVALID no-json\/model\.json: is not JSON at /);
  });

  for (const model of ["kept", "by-json", "whole"]) {
    it(`keeps the answers of "${model}"`, async () => {
      const name = model === "whole" ? "out" : "y";
      const first = await ask(model, [2, 3], [name]);
      assert.deepEqual(first, { [name]: [4, 9] });
      assert.deepEqual(await ask(model, [2, 3], [name]), first);
      assert.deepEqual(await ask(model, [2, 4], [name]), { [name]: [4, 16] });
      assert.deepEqual(await counts(model), [2, 3, 1, 2]);
      const page = await (await fetch(`${served.ready.url}/metrics`)).text();
      assert.match(page, new RegExp(`nv_cache_num_hits_per_model\\{model="${model}",version="1"\\} 1\n`));
    });
  }

  it("keeps none where they are not wanted", async () => {
    const before = await counts("off");
    await ask("off", [1, 2]);
    await ask("off", [1, 2]);
    const after = await counts("off");
    assert.deepEqual(
      after.map((count, i) => count - before[i]!),
      [2, 2, 0, 0],
    );
  });

  it("keeps each choice of outputs by itself", async () => {
    assert.deepEqual(await ask("kept", [5, 6], ["z"]), { z: [-5, -6] });
    assert.deepEqual(await ask("kept", [5, 6]), { y: [25, 36], z: [-5, -6] });
    assert.deepEqual(await ask("kept", [5, 6], ["z"]), { z: [-5, -6] });
  });

  it("answers many at once alike", async () => {
    const all = await Promise.all(Array.from({ length: 32 }, (_, i) => ask("by-json", [i % 2, 7])));
    for (const [i, one] of all.entries()) assert.deepEqual(one, { y: [i % 2, 49], z: [-(i % 2), -7] });
  });
});
