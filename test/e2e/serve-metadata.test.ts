/** What a server says of itself and its models, and of paths that it does not have. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { identityModel, type Served, startServed } from "../support/served.js";

describe("metadata and health", () => {
  let served: Served;
  before(async () => {
    served = await startServed();
  });
  after(() => served[Symbol.asyncDispose]());

  const get = async (path: string): Promise<{ status: number; body: string }> => {
    const answer = await fetch(served.url + path);
    return { status: answer.status, body: await answer.text() };
  };

  it("of the server and of models", async () => {
    const server = JSON.parse((await get("/v2")).body);
    assert.equal(server.name, "triton");
    assert.deepEqual(server.extensions, [
      "classification",
      "sequence",
      "schedule_policy",
      "model_configuration",
      "binary_tensor_data",
      "parameters",
      "statistics",
    ]);
    assert.deepEqual(JSON.parse((await get("/v2/models/simple")).body), {
      name: "simple",
      versions: ["1"],
      platform: "onnxruntime_onnx",
      inputs: [
        { name: "INPUT0", datatype: "INT32", shape: [-1, 16] },
        { name: "INPUT1", datatype: "INT32", shape: [-1, 16] },
      ],
      outputs: [
        { name: "OUTPUT0", datatype: "INT32", shape: [-1, 16] },
        { name: "OUTPUT1", datatype: "INT32", shape: [-1, 16] },
      ],
    });
    assert.equal((await get("/v2/models/simple/versions/1")).status, 200);
    assert.equal((await get("/v2/models/simple/versions/2")).status, 404);
  });

  it("of what is ready", async () => {
    assert.deepEqual(await get("/v2/health/live"), { status: 200, body: '{"live":true,"ready":true}' });
    assert.deepEqual(await get("/v2/health/ready"), { status: 200, body: '{"live":true,"ready":true}' });
    assert.deepEqual(await get("/v2/models/simple/ready"), { status: 200, body: "" });
    const notReady = { status: 400, body: '{"error":"Model version not ready"}' };
    assert.deepEqual(await get("/v2/models/nope/ready"), notReady);
    assert.deepEqual(await get("/v2/models/simple/versions/2/ready"), notReady);
  });

  it("unknown paths and other verbs", async () => {
    assert.deepEqual(await get("/v2/nope"), { status: 404, body: '{"error":"Not Found"}' });
    assert.deepEqual(await get("/"), { status: 404, body: '{"error":"Not Found"}' });
    assert.deepEqual(await get("/v2/models/simple/infer"), {
      status: 405,
      body: '{"error":"Method Not Allowed"}',
    });
    for (const method of ["HEAD", "OPTIONS", "DELETE", "POST"]) {
      assert.equal((await fetch(`${served.url}/v2`, { method })).status, 405, method);
    }
  });

  it("a model that was unloaded is unknown", async () => {
    const model = await served.engine.load(identityModel("float32"), { name: "gone", calibrate: false });
    assert.equal((await get("/v2/models/gone/ready")).status, 200);
    await model.unload();
    assert.equal((await get("/v2/models/gone")).status, 404);
  });
});
