/** Two versions of a model side by side: shares of traffic, compared outputs, and one call to promote or roll back. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { tensor } from "tenon/tensor";
import { GrpcClient } from "../support/grpc-client.js";
import { modelBytes, type ServedRepository, serveRepository } from "../support/repository.js";

/** y = x · factor, and the class of each row. */
const scaled = (factors: readonly number[], input = "x"): Uint8Array =>
  modelBytes((g) => {
    const x = g.input(input, "float32", ["N", 3]);
    const factor = g.initializer("factor", tensor(factors, { dtype: "float32" }));
    g.output(g.add("Mul", [x, factor]), "y");
  });

interface Report {
  readonly stable: string;
  readonly candidate: string;
  readonly percent: number;
  readonly answered: { readonly stable: number; readonly candidate: number };
  readonly compared: {
    readonly requests: number;
    readonly unlike: number;
    readonly outputs: { readonly y: Record<string, number> };
  };
}

describe("rollouts", () => {
  let served: ServedRepository;
  before(async () => {
    served = await serveRepository(
      {
        "net/1/model.onnx": scaled([1, 1, 1]),
        "net/config.pbtxt": "version_policy { specific { versions: 1 } }",
        "net/2/model.onnx": scaled([1, 1.5, 1]),
        "net/3/model.onnx": scaled([1, 1, 1], "other"),
        "net/4/model.onnx": "no model",
      },
      "--model-control",
      "explicit",
      "--load-model",
      "net",
    );
  });
  after(() => served[Symbol.asyncDispose]());

  const path = "/v2/models/net/rollout";
  const ask = async (row: readonly number[], version?: string): Promise<{ version: string; y: number[] }> => {
    const at = version === undefined ? "" : `/versions/${version}`;
    const inputs = [{ name: "x", datatype: "FP32", shape: [1, 3], data: row }];
    const answer = await served.post(`/v2/models/net${at}/infer`, { inputs });
    assert.equal(answer.status, 200);
    const told = (await answer.json()) as { model_version: string; outputs: [{ data: number[] }] };
    return { version: told.model_version, y: told.outputs[0].data };
  };
  const refused = async (
    where: string,
    body: object | undefined,
    status: number,
    words: RegExp,
  ): Promise<void> => {
    const answer = await served.post(where, body);
    assert.equal(answer.status, status);
    assert.match(((await answer.json()) as { error: string }).error, words);
  };
  const versions = async (): Promise<string[]> =>
    ((await served.get("/v2/models/net")) as { versions: string[] }).versions;

  it("refuse what cannot be tried, and leave what serves", async () => {
    await refused(path, {}, 400, /a rollout needs the 'version'/);
    await refused(path, { version: "2", percent: 101 }, 400, /'percent' is 101/);
    await refused(path, { version: "1" }, 400, /version 1 of model 'net' is the one that answers/);
    await refused(path, { version: "9" }, 400, /the repository has no version 9/);
    await refused(
      path,
      { version: "3" },
      400,
      /version 3 of model 'net' has the inputs other float32, and version 1 x float32/,
    );
    await refused(path, { version: "4" }, 400, /load failed for model 'net'.*MODEL_INVALID/);
    await refused(`${path}/promote`, undefined, 404, /model 'net' has no rollout/);
    assert.equal((await ask([1, 2, 3])).version, "1");
    assert.deepEqual(await versions(), ["1"]);
  });

  it("give the candidate exactly its share, over HTTP and gRPC", async () => {
    const begun = (await (
      await served.post(path, { version: 2, percent: 25, mirror: false })
    ).json()) as Report;
    assert.deepEqual([begun.stable, begun.candidate, begun.percent], ["1", "2", 25]);
    const answers = [];
    for (let i = 0; i < 40; i++) answers.push(await ask([1, 2, 3]));
    assert.equal(answers.filter(({ version }) => version === "2").length, 10);
    for (const { version, y } of answers) assert.deepEqual(y, [1, version === "2" ? 3 : 2, 3]);
    using client = new GrpcClient(served.ready.grpcPort);
    const raw = new Uint8Array(Float32Array.of(1, 2, 3).buffer);
    const inputs = [{ name: "x", datatype: "FP32", shape: [1, 3], raw }];
    const calls = [];
    for (let i = 0; i < 8; i++) calls.push((await client.infer({ model: "net", inputs })).version);
    assert.equal(calls.filter((version) => version === "2").length, 2);
    assert.equal((await ask([1, 2, 3], "2")).version, "2");
    const report = (await served.get(path)) as Report;
    assert.deepEqual(report.answered, { stable: 36, candidate: 13 });
    assert.equal(report.compared.requests, 0);
  });

  it("roll back by one call", async () => {
    assert.equal((await served.post(`${path}/rollback`)).status, 200);
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask([1, 2, 3])));
    assert.ok(answers.every(({ version }) => version === "1"));
    await refused(`${path}/rollback`, undefined, 404, /has no rollout/);
    assert.deepEqual(await versions(), ["1"]);
  });

  it("compare what a mirrored candidate would have answered", async () => {
    assert.equal((await served.post(path, { version: "2" })).status, 200);
    // The second row's largest value moves.
    const rows = [
      [1, 2, 9],
      [1, 4, 5],
    ];
    for (const [i, row] of rows.entries()) {
      assert.deepEqual(await ask(row), { version: "1", y: row });
      const end = performance.now() + 30_000;
      while (((await served.get(path)) as Report).compared.requests <= i) {
        assert.ok(performance.now() < end, "the candidate never ran");
        await sleep(5);
      }
    }
    const { answered, compared } = (await served.get(path)) as Report;
    assert.deepEqual(answered, { stable: 2, candidate: 0 });
    assert.deepEqual(compared, {
      requests: 2,
      failed: 0,
      unlike: 0,
      outputs: { y: { maxDifference: 2, meanDifference: 0.5, argmaxAgreement: 0.5, equal: 4 / 6 } },
    });
  });

  it("promote by one call, without losing a request", async () => {
    let going = true;
    const traffic = (async () => {
      const seen = [];
      while (going) seen.push((await ask([1, 2, 3])).version);
      return seen;
    })();
    assert.equal((await served.post(`${path}/promote`)).status, 200);
    assert.equal((await ask([1, 2, 3])).version, "2");
    going = false;
    await traffic;
    assert.deepEqual(await versions(), ["2"]);
    assert.deepEqual((await ask([1, 2, 3])).y, [1, 3, 3]);
  });
});
