/** The OpenAPI document: it lists the route table, its schemas are schemas, and real answers are as it says. */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { createHandler, serve } from "tenon/serve";
import { firstLine, startCli } from "../support/cli.js";
import { assertSchemas, conform, fetchOpenApi, type OpenApi, operationsOf } from "../support/openapi.js";
import { type Served, simpleRequest, startServed } from "../support/served.js";
import { saveTinyCrossEncoder, saveTinyEmbedder } from "../support/tiny-embedder.js";

type Call = readonly [status: number, operation: string, body?: unknown, query?: string];

async function call(
  url: string,
  document: OpenApi,
  [status, operation, body, query = ""]: Call,
  model = "simple",
) {
  const [method, template] = operation.split(" ") as [string, string];
  const path = template.replace("{model}", model).replace("{version}", "1").replace("{region}", "nowhere");
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
  const answer = await fetch(url + path + query, init);
  assert.equal(await conform(document, operation, answer), status, operation);
}

describe("the OpenAPI document", () => {
  let served: Served;
  let document: OpenApi;

  before(async () => {
    served = await startServed({ jsonBodyMax: 4096, extensions: ["system_shared_memory"] });
    document = await fetchOpenApi(served.url);
  });
  after(() => served?.[Symbol.asyncDispose]());

  it("lists exactly the routes of the table", async () => {
    const { routes, close } = createHandler(served.engine);
    await close();
    assert.deepEqual(operationsOf(document), routes.map(({ method, path }) => `${method} ${path}`).sort());
    assert.ok(routes.some(({ path }) => path === "/openapi.json"));
    assert.equal(document.openapi, "3.1.0");
    assertSchemas(document);
  });

  it("says what real answers are", async () => {
    const infer = JSON.parse(simpleRequest()) as object;
    const calls: readonly Call[] = [
      [200, "GET /v2"],
      [200, "GET /v2/health/live"],
      [200, "GET /v2/health/ready"],
      [200, "GET /v2/models/{model}"],
      [200, "GET /v2/models/{model}/versions/{version}/ready"],
      [200, "POST /v2/models/{model}/infer", infer],
      [200, "POST /v2/models/{model}/infer", { ...infer, parameters: { binary_data_output: true } }],
      [200, "POST /v2/models/{model}/generate", { INPUT0: Array(16).fill(1), INPUT1: Array(16).fill(2) }],
      [200, "GET /v2/models/{model}/config"],
      [200, "GET /v2/models/stats"],
      [200, "GET /metrics"],
      [501, "GET /v2/logging"],
      [200, "GET /v2/systemsharedmemory/status"],
      [200, "POST /v2/systemsharedmemory/unregister"],
      [200, "POST /v2/repository/index", { ready: true }],
      [200, "GET /openapi.json"],
      [400, "POST /v2/models/{model}/infer", { inputs: [] }],
      [400, "POST /v2/models/{model}/infer", "no object"],
      [413, "POST /v2/models/{model}/generate", "x".repeat(5000)],
      [404, "GET /v2/systemsharedmemory/region/{region}/status"],
      [501, "GET /v2/trace/setting"],
      [503, "POST /v2/repository/models/{model}/load", {}],
    ];
    for (const one of calls) await call(served.url, document, one);
    await call(served.url, document, [404, "GET /v2/models/{model}"], "nobody");
    await call(served.url, document, [400, "GET /v2/models/{model}/stats"], "nobody");
    await call(served.url, document, [404, "POST /v2/models/{model}/infer", infer], "nobody");
  });

  it("tells of keys where they are needed, but for health", async () => {
    assert.doesNotMatch(JSON.stringify(document.paths), /UNAUTHORIZED/);
    const keyed = await serve(served.engine, { port: 0, apiKey: "key-of-the-test" });
    try {
      const told = await fetchOpenApi(keyed.url, { Authorization: "Bearer key-of-the-test" });
      const open = operationsOf(told).filter((operation) => {
        const [verb, path] = operation.split(" ") as [string, string];
        return told.paths[path]![verb.toLowerCase()]!.responses[401] === undefined;
      });
      assert.deepEqual(open, ["GET /v2/health/live", "GET /v2/health/ready"]);
      await call(keyed.url, told, [401, "GET /openapi.json"]);
      await call(keyed.url, told, [401, "POST /v2/models/{model}/infer", {}]);
    } finally {
      await keyed.close();
    }
  });

  it("has an example for each model, which the model answers", async () => {
    const operation = "POST /v2/models/{model}/infer";
    const { post } = document.paths["/v2/models/{model}/infer"] as unknown as {
      readonly post: {
        readonly requestBody: {
          readonly content: Readonly<
            Record<string, { readonly examples: Record<string, { readonly value: object }> }>
          >;
        };
      };
    };
    const examples = Object.entries(post.requestBody.content["application/json"]!.examples);
    // FP16 and BF16 travel as bytes only.
    assert.equal(examples.length, 13);
    for (const [model, { value }] of examples)
      await call(served.url, document, [200, operation, value], model);
  });
});

describe("the OpenAPI document of models of texts", () => {
  const cwd = mkdtempSync(join(tmpdir(), "tenon-openapi-"));
  let child: ChildProcess;
  let url = "";

  before(async () => {
    await saveTinyEmbedder(join(cwd, "models/tiny-embedder"), {});
    await saveTinyCrossEncoder(join(cwd, "models/tiny-reranker"));
    await saveTinyCrossEncoder(join(cwd, "models/moods"), ["sad", "glad"]);
    const ports = ["--http-port", "0", "--grpc-port", "off", "--metrics-port", "off"];
    const started = startCli(["serve", "models", ...ports, "--isolation", "inline", "--json"], {
      cwd,
      env: { TENON_CACHE: "off" },
    });
    child = started;
    url = (JSON.parse(await firstLine(started)) as { url: string }).url;
  });
  after(async () => {
    if (child !== undefined && child.exitCode === null) {
      child.kill("SIGTERM");
      await once(child, "close");
    }
    rmSync(cwd, { recursive: true });
  });

  it("says what real answers are, in both dialects", async () => {
    const document = await fetchOpenApi(url);
    assertSchemas(document);
    assert.match(JSON.stringify(document.paths["/v1/embeddings"]), /"tiny-embedder":\{"value"/);
    const embeddings = { model: "tiny-embedder", input: ["a red one", ""] };
    const calls: readonly Call[] = [
      [200, "POST /v1/embeddings", embeddings],
      [200, "POST /embeddings", { ...embeddings, encoding_format: "base64", dimensions: 3 }],
      [400, "POST /v1/embeddings", { ...embeddings, dimensions: 0 }],
      [404, "POST /v1/embeddings", { ...embeddings, model: "nobody" }],
      [200, "GET /v1/models"],
      [200, "POST /embed", { inputs: "a red one" }],
      [413, "POST /embed", { inputs: 1 }],
      [400, "POST /embed", { inputs: [] }],
      [200, "POST /embed_all", { inputs: "a red one" }],
      [424, "POST /embed_sparse", { inputs: "a red one" }],
      [200, "POST /similarity", { inputs: { source_sentence: "red", sentences: ["a red one", ""] } }],
      [200, "POST /rerank", { query: "red", texts: ["a red one", "two"], return_text: true }],
      [200, "POST /predict", { inputs: [["a"], ["a", "b"]] }, "?model=moods"],
      [200, "POST /predict", { inputs: "a" }, "?model=moods"],
      [400, "POST /tokenize", { inputs: "a red one" }],
      [200, "POST /tokenize", { inputs: "a red one" }, "?model=moods"],
      [200, "POST /decode", { ids: [2, 3] }, "?model=moods"],
      [200, "GET /info", undefined, "?model=tiny-embedder"],
      [200, "GET /health"],
    ];
    for (const one of calls) await call(url, document, one);
    await call(url, document, [200, "GET /v1/models/{model}"], "moods");
    await call(url, document, [404, "GET /v1/models/{model}"], "nobody");
  });
});
