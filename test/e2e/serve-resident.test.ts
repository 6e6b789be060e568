/** More models than may be loaded together: the least used sleep, and answer again when they are asked. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { GrpcClient } from "../support/grpc-client.js";
import { type ServedRepository, serveRepository } from "../support/repository.js";
import { simpleModel, simpleRequest } from "../support/served.js";

describe("--resident-max", () => {
  const names = ["a", "b", "c", "d"];
  let served: ServedRepository;
  before(async () => {
    const bytes = simpleModel();
    served = await serveRepository(
      Object.fromEntries(names.map((name) => [`${name}/1/model.onnx`, bytes])),
      "--resident-max",
      `${2 * bytes.length + 1}B`,
    );
  });
  after(() => served[Symbol.asyncDispose]());

  const awake = async (): Promise<readonly string[]> => {
    const { model_stats } = (await served.get("/v2/models/stats")) as { model_stats: { name: string }[] };
    return model_stats.map(({ name }) => name).sort();
  };
  const infer = async (name: string): Promise<number> =>
    (await served.post(`/v2/models/${name}/infer`, simpleRequest())).status;

  it("starts with all of them, and keeps as many as there is room for", async () => {
    assert.deepEqual(served.ready.failed, []);
    assert.equal((await awake()).length, 2);
    const index = (await (await served.post("/v2/repository/index", { ready: true })).json()) as {
      name: string;
    }[];
    assert.deepEqual(
      index.map(({ name }) => name),
      names,
    );
    for (const name of names)
      assert.equal((await fetch(`${served.ready.url}/v2/models/${name}/ready`)).status, 200);
  });

  it("loads what is asked for, in place of the least used", async () => {
    for (const name of ["a", "b", "a", "c"]) assert.equal(await infer(name), 200);
    assert.deepEqual(await awake(), ["a", "c"]);
    assert.equal(((await served.get("/v2/models/d")) as { name: string }).name, "d");
    assert.deepEqual(await awake(), ["c", "d"]);
  });

  it("answers all of many at once, over HTTP and gRPC", async () => {
    using client = new GrpcClient(served.ready.grpcPort);
    const raw = new Uint8Array(64);
    const inputs = ["INPUT0", "INPUT1"].map((name) => ({ name, datatype: "INT32", shape: [1, 16], raw }));
    const calls = Array.from({ length: 24 }, async (_, i) => {
      const model = names[i % 4]!;
      if (i % 3 > 0) return infer(model);
      return (await client.infer({ model, inputs })).model === model ? 200 : 0;
    });
    assert.deepEqual([...new Set(await Promise.all(calls))], [200]);
  });

  it("still knows what is not there", async () => {
    assert.equal(await infer("e"), 404);
    assert.equal((await fetch(`${served.ready.url}/v2/models/e/ready`)).status, 400);
    assert.equal((await fetch(`${served.ready.url}/v2/models/a/versions/2/ready`)).status, 400);
  });
});
