/** Models loaded, replaced and unloaded while requests run: none of them fails, and a bad load changes nothing. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { graph, writeModel } from "tenon/onnx";
import { Engine } from "tenon/runtime";
import { ModelRepository, type RepositoryEntry, type RunningServer, serve } from "tenon/serve";
import { tensor } from "tenon/tensor";
import { RawConnection, rawRequest, send, until } from "../support/served.js";

/** y = x + `shift`. */
function shiftModel(shift: number): Uint8Array {
  const g = graph({ name: "shift" });
  const x = g.input("x", "float32", ["N", 2]);
  g.output(g.add("Add", [x, g.initializer("shift", tensor([shift]))]), "y");
  return writeModel(g.model());
}

const BODY = JSON.stringify({ inputs: [{ name: "x", shape: [1, 2], datatype: "FP32", data: [1, 2] }] });
const REQUEST = rawRequest("/v2/models/m/infer", BODY);

interface Answer {
  readonly model_version: string;
  readonly outputs: readonly { readonly data: readonly number[] }[];
}

describe("hot reload", () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-reload-"));
  let engine: Engine;
  let entries: RepositoryEntry[];
  let server: RunningServer;
  let fixed: RunningServer;

  before(async () => {
    engine = await Engine.open({ cache: false });
    const list = async (): Promise<readonly RepositoryEntry[]> => entries;
    const repository = new ModelRepository(engine, {
      modelControl: "explicit",
      loadTimeout: 10_000,
      list,
      load: { warmup: true },
    });
    server = await serve(engine, { port: 0, repository });
    fixed = await serve(engine, { port: 0 });
  });
  after(async () => {
    await server.close();
    await fixed.close();
    await engine.close();
    rmSync(folder, { recursive: true });
  });
  beforeEach(async () => {
    entries = [put("m", "1", shiftModel(1))];
    assert.equal((await post("/v2/repository/models/m/load")).status, 200);
  });

  function put(name: string, version: string, bytes: Uint8Array | string): RepositoryEntry {
    const path = join(folder, name, version, "model.onnx");
    mkdirSync(join(folder, name, version), { recursive: true });
    // Written beside and moved, as a deployment should.
    writeFileSync(`${path}.new`, bytes);
    renameSync(`${path}.new`, path);
    return { name, version, path };
  }

  async function post(
    path: string,
    body = "",
    port = server.port,
  ): Promise<{ status: number; text: string; code: string | undefined }> {
    const answer = await send(port, rawRequest(path, body));
    return { status: answer.status, text: answer.body.toString(), code: answer.headers.get("x-tenon-error") };
  }

  const index = async (body = ""): Promise<readonly Record<string, string>[]> =>
    JSON.parse((await post("/v2/repository/index", body)).text);

  async function ask(): Promise<[string, number]> {
    const { status, text } = await post("/v2/models/m/infer", BODY);
    assert.equal(status, 200, text);
    const { model_version, outputs } = JSON.parse(text) as Answer;
    return [model_version, outputs[0]!.data[0]!];
  }

  /** Clients that ask without a pause until `work` is done; every answer must be 200. Returns the answers' values. */
  async function underLoad(work: () => Promise<void>): Promise<readonly number[]> {
    let done = false;
    const values: number[] = [];
    const client = async (): Promise<void> => {
      using connection = await RawConnection.open(server.port);
      while (!done) {
        connection.write(REQUEST);
        const answer = await connection.answer();
        assert.equal(answer?.status, 200, answer?.body.toString());
        values.push((JSON.parse(answer.body.toString()) as Answer).outputs[0]!.data[0]!);
      }
    };
    /** Sends its body late, so that the model may change between the headers and the run. */
    const slowClient = async (): Promise<void> => {
      while (!done) {
        using connection = await RawConnection.open(server.port);
        connection.write(REQUEST.subarray(0, -20));
        await sleep(15);
        connection.write(REQUEST.subarray(-20));
        const answer = await connection.answer();
        assert.equal(answer?.status, 200, answer?.body.toString());
      }
    };
    const clients = [client(), client(), client(), slowClient(), slowClient()];
    try {
      await work();
    } finally {
      done = true;
      await Promise.all(clients);
    }
    return values;
  }

  it("no request fails while one file is replaced again and again", async () => {
    const values = await underLoad(async () => {
      for (let shift = 2; shift <= 12; shift++) {
        entries = [put("m", "1", shiftModel(shift))];
        assert.equal((await post("/v2/repository/models/m/load")).status, 200);
        assert.deepEqual(await ask(), ["1", shift + 1], "the new one answers as soon as the load is done");
      }
    });
    assert.ok(values.length > 20);
    assert.equal(engine.models().length, 1);
  });

  it("no request fails while versions come and go, upwards and back", async () => {
    await underLoad(async () => {
      for (const version of ["2", "3", "1", "3", "2"]) {
        entries = [put("m", version, shiftModel(Number(version) * 10))];
        assert.equal((await post("/v2/repository/models/m/load")).status, 200);
        assert.deepEqual(await ask(), [version, Number(version) * 10 + 1]);
      }
    });
    await until(() => engine.models().length === 1);
  });

  it("a load that fails leaves the old one, and the index says why", async () => {
    entries = [put("m", "2", "no model")];
    const values = await underLoad(async () => {
      const { status, text, code } = await post("/v2/repository/models/m/load");
      assert.deepEqual([status, code], [400, "MODEL_INVALID"]);
      assert.match(text, /failed to load/);
    });
    assert.ok(values.every((value) => value === 2));
    assert.deepEqual(await index(), [
      { name: "m", version: "1", state: "READY" },
      {
        name: "m",
        version: "2",
        state: "UNAVAILABLE",
        reason: "MODEL_INVALID: The model file is damaged, truncated or breaks the ONNX specification",
      },
    ]);
    assert.deepEqual(await index('{"ready":true}'), [{ name: "m", version: "1", state: "READY" }]);
    entries = [put("m", "1", "broken in place")];
    assert.equal((await post("/v2/repository/models/m/load")).status, 400);
    assert.match((await index())[0]!.reason!, /MODEL_INVALID/);
    assert.deepEqual(await ask(), ["1", 2]);
  });

  it("unloads and loads again; what is not there is said in the protocol's words", async () => {
    assert.equal(
      (await post("/v2/repository/models/m/unload", '{"parameters":{"unload_dependents":true}}')).status,
      200,
    );
    const gone = await post("/v2/models/m/infer", BODY);
    assert.deepEqual(
      [gone.status, JSON.parse(gone.text).error],
      [404, "Request for unknown model: 'm' has no available versions"],
    );
    assert.equal(engine.models().length, 0);
    while ((await index())[0]?.state === "UNLOADING") await sleep(5);
    assert.deepEqual(await index(), [{ name: "m", version: "1", state: "UNAVAILABLE", reason: "unloaded" }]);
    assert.equal((await post("/v2/repository/models/never/unload")).status, 200);
    const absent = await post("/v2/repository/models/never/load");
    assert.deepEqual(
      [absent.status, JSON.parse(absent.text).error],
      [500, "failed to load 'never', failed to poll from model repository"],
    );
    assert.equal((await post("/v2/repository/models/m/load", "{}")).status, 200);
    assert.deepEqual(await ask(), ["1", 2]);
  });

  it("what an unloaded model had accepted is still answered", async () => {
    const answers = Array.from({ length: 20 }, () => engine.get("m").run({ x: tensor([[1, 2]]) }));
    assert.equal((await post("/v2/repository/models/m/unload")).status, 200);
    assert.equal((await Promise.all(answers)).length, 20);
  });

  it("loads of one name at once follow each other", async () => {
    const all = await Promise.all(Array.from({ length: 5 }, () => post("/v2/repository/models/m/load")));
    assert.deepEqual(
      all.map(({ status }) => status),
      [200, 200, 200, 200, 200],
    );
    await until(() => engine.models().length === 1);
  });

  it("bodies: unknown members are ignored, wrong types refused", async () => {
    const load = (body: string): Promise<{ status: number }> => post("/v2/repository/models/m/load", body);
    assert.equal((await load('{"anything":[1,{"deep":true}]}')).status, 200);
    assert.equal((await load('{"parameters":{"note":"text"}}')).status, 200);
    assert.equal((await load('{"parameters":{"config":5}}')).status, 400);
    assert.equal((await load('{"parameters":')).status, 400);
    assert.equal((await post("/v2/repository/index", '{"ready":1}')).status, 400);
    assert.deepEqual(await ask(), ["1", 2]);
  });

  it("names are names: no path reaches the file system", async () => {
    for (const name of ["..%2fm", "%2e%2e", "m%00", "..", ".m", "a%5cb", "m%2f..%2fm"]) {
      const { status } = await post(`/v2/repository/models/${name}/load`);
      assert.ok(status === 404 || status === 400, `${name}: ${status}`);
    }
  });

  it("is off unless it is switched on", async () => {
    for (const verb of ["load", "unload"]) {
      const { status, text, code } = await post(`/v2/repository/models/m/${verb}`, "", fixed.port);
      assert.deepEqual([status, code], [503, "MODEL_CONTROL_OFF"]);
      assert.match(text, /explicit model load \/ unload is not allowed if polling is enabled/);
    }
    assert.deepEqual(await ask(), ["1", 2]);
  });

  it("loads with a configuration and files of the request, and drops both at the next load", async () => {
    const load = (parameters: object): Promise<{ status: number; text: string }> =>
      post("/v2/repository/models/m/load", JSON.stringify({ parameters }));
    const y = async (): Promise<Answer> =>
      JSON.parse((await send(server.port, REQUEST)).body.toString()) as Answer;
    const maxBatch = async (): Promise<number> =>
      ((await (await fetch(`${server.url}/v2/models/m/config`)).json()) as { max_batch_size: number })
        .max_batch_size;
    assert.equal((await load({ config: '{"maxBatchSize":"3"}' })).status, 200);
    assert.equal(await maxBatch(), 3);
    const file = Buffer.from(shiftModel(40)).toString("base64");
    assert.equal((await load({ config: "{}", "file:7/model.onnx": file })).status, 200);
    assert.deepEqual([(await y()).model_version, (await y()).outputs[0]!.data], ["7", [41, 42]]);
    assert.equal((await post("/v2/repository/models/m/load")).status, 200);
    assert.deepEqual([(await y()).model_version, (await y()).outputs[0]!.data], ["1", [2, 3]]);
    const refused: readonly (readonly [object, RegExp])[] = [
      [{ "file:1/model.onnx": file }, /need the parameter 'config'/],
      [{ config: "{}", "file:1/../../x": file }, /is no file of a version/],
      [{ config: "{}", "file:/etc/x": file }, /is no file of a version/],
      [{ config: "{}", "file:1/model.onnx": "no base64!" }, /is not base64/],
      [{ config: "{}", "file:1/model.onnx": "AAAA" }, /failed to load: MODEL_INVALID/],
      [{ config: "max_batch_size: 3" }, /failed to load: CONFIG_INVALID/],
      [{ config: '{"max_batch":3}' }, /has no field \\"max_batch\\"/],
      [{ config: '{"input":[{"name":"x","data_type":"TYPE_INT8"}]}' }, /contradicts the model/],
      [{ config: 7 }, /parameter 'config' has invalid type/],
    ];
    for (const [parameters, text] of refused) {
      const answer = await load(parameters);
      assert.equal(answer.status, 400, answer.text);
      assert.match(answer.text, text);
    }
    assert.deepEqual((await y()).outputs[0]!.data, [2, 3]);
  });
});
