/** Statistics and metrics: what was served is counted, in Triton's words, and the metrics port shows nothing else. */
import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, describe, it } from "node:test";
import { type Served, simpleRequest, startServed } from "../support/served.js";

/** Series of a Prometheus page by their name and labels. */
function seriesOf(page: string): ReadonlyMap<string, number> {
  const lines = page.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(" ");
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

describe("metrics", () => {
  let served: Served;
  before(async () => {
    served = await startServed({ metricsPort: 0, apiKey: "key-1" });
  });
  after(() => served[Symbol.asyncDispose]());

  const headers = { Authorization: "Bearer key-1" };
  const infer = async (body: string): Promise<number> =>
    (await fetch(`${served.url}/v2/models/simple/infer`, { method: "POST", body, headers })).status;
  const page = async (): Promise<ReadonlyMap<string, number>> =>
    seriesOf(await (await fetch(`http://127.0.0.1:${served.server.metricsPort}/metrics`)).text());

  it("counts requests, rows, runs and failures", async () => {
    for (let i = 0; i < 5; i++) assert.equal(await infer(simpleRequest(i)), 200);
    assert.equal(await infer(simpleRequest(0, { inputs: [] })), 400);
    const series = await page();
    const simple = 'model="simple",version="1"';
    assert.equal(series.get(`nv_inference_request_success{${simple}}`), 5);
    assert.equal(series.get(`nv_inference_count{${simple}}`), 5);
    assert.equal(series.get(`nv_inference_exec_count{${simple}}`), 5);
    assert.equal(series.get(`nv_inference_request_failure{${simple},reason="OTHER"}`), 1);
    assert.equal(series.get(`nv_inference_request_failure{${simple},reason="BACKEND"}`), 0);
    assert.equal(series.get(`tenon_batch_size_bucket{${simple},le="1"}`), 5);
    assert.equal(series.get(`tenon_request_duration_seconds_count{${simple}}`), 5);
    assert.ok(series.get(`nv_inference_compute_infer_duration_us{${simple}}`)! > 0);
    assert.equal(series.get('nv_inference_request_success{model="identity_BOOL",version="1"}'), 0);
  });

  it("needs no key on its own port, and one on the port of the models", async () => {
    assert.equal((await fetch(`${served.url}/metrics`)).status, 401);
    assert.equal((await fetch(`${served.url}/metrics`, { headers })).status, 200);
    const at = `http://127.0.0.1:${served.server.metricsPort}`;
    assert.equal((await fetch(`${at}/v2`)).status, 404);
    assert.equal((await fetch(`${at}/metrics`, { method: "POST" })).status, 405);
  });

  it("refuses a foreign Host on its own port", async () => {
    const status = await new Promise((resolve, reject) => {
      const asked = request(
        {
          port: served.server.metricsPort,
          host: "127.0.0.1",
          path: "/metrics",
          headers: { Host: "evil.example" },
        },
        (res) => {
          res.resume();
          resolve(res.statusCode);
        },
      );
      asked.on("error", reject).end();
    });
    assert.equal(status, 403);
  });

  it("shows all statistics at once, also of models that served nothing", async () => {
    const answer = (await (await fetch(`${served.url}/v2/models/stats`, { headers })).json()) as {
      model_stats: { name: string; inference_stats: Record<string, { count: number; ns: number }> }[];
    };
    assert.equal(answer.model_stats.length, served.engine.models().length);
    const idle = answer.model_stats.find(({ name }) => name === "identity_INT8")!;
    const none = { count: 0, ns: 0 };
    assert.deepEqual(Object.entries(idle.inference_stats), [
      ["success", none],
      ["fail", none],
      ["queue", none],
      ["compute_input", none],
      ["compute_infer", none],
      ["compute_output", none],
      ["cache_hit", none],
      ["cache_miss", none],
    ]);
  });
});
