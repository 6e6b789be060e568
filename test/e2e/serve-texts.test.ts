/** `tenon serve` on folders of text models: the client of OpenAI, the routes of text-embeddings-inference, refusals. */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import OpenAI from "openai";
import { classifier, type Embedder, embedder, reranker } from "tenon/embed";
import { firstLine, runCli, startCli } from "../support/cli.js";
import { saveTinyCrossEncoder, saveTinyEmbedder } from "../support/tiny-embedder.js";

const TEXTS = ["a red one", "two things", ""];

/** What the headers of an answer tell a time of. */
function timesIn(headers: Headers): string[] {
  const names = ["total", "tokenization", "queue", "inference"];
  return names.filter((name) => /^\d+$/.test(headers.get(`x-${name}-time`) ?? ""));
}

describe("models of texts over HTTP", () => {
  const cwd = mkdtempSync(join(tmpdir(), "tenon-serve-texts-"));
  let child: ChildProcess;
  let url = "";
  let local: Embedder;

  before(async () => {
    await saveTinyEmbedder(join(cwd, "models/tiny-embedder"), {
      "config_sentence_transformers.json": { prompts: { query: "red " } },
    });
    await saveTinyCrossEncoder(join(cwd, "models/tiny-reranker"));
    await saveTinyCrossEncoder(join(cwd, "models/moods"), ["sad", "glad"]);
    const started = startCli(
      ["serve", "models", "--http-port", "0", "--isolation", "inline", "--metrics-port", "off", "--json"],
      { cwd, env: { TENON_CACHE: join(cwd, "cache"), TENON_GRPC_PORT: "off" } },
    );
    child = started;
    url = (JSON.parse(await firstLine(started)) as { url: string }).url;
    local = await embedder(join(cwd, "models/tiny-embedder"), { cache: false, lanes: 1 });
  });
  after(async () => {
    await local?.close();
    if (child !== undefined && child.exitCode === null) {
      child.kill("SIGTERM");
      await once(child, "close");
    }
    rmSync(cwd, { recursive: true });
  });

  async function post(
    path: string,
    body: unknown,
  ): Promise<{ status: number; body: unknown; headers: Headers }> {
    const answer = await fetch(url + path, { method: "POST", body: JSON.stringify(body) });
    return { status: answer.status, body: await answer.json(), headers: answer.headers };
  }

  const near = (a: ArrayLike<number>, b: ArrayLike<number>): void => {
    assert.equal(a.length, b.length);
    for (let i = 0; i < a.length; i++) assert.ok(Math.abs(a[i]! - b[i]!) < 1e-5, `${a[i]} and ${b[i]}`);
  };

  test("the client of OpenAI gets the vectors of the library", async () => {
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
    const expected = await local.embed(TEXTS);
    const answer = await client.embeddings.create({ model: "tiny-embedder", input: TEXTS });
    assert.equal(answer.object, "list");
    for (const [i, { embedding, index }] of answer.data.entries()) {
      assert.equal(index, i);
      near(embedding, expected.row(i) as Float32Array);
    }
    const tokens = expected.tokens.reduce((sum, count) => sum + count, 0);
    assert.deepEqual(answer.usage, { prompt_tokens: tokens, total_tokens: tokens });
    const floats = await client.embeddings.create({
      model: "tiny-embedder",
      input: TEXTS[0]!,
      encoding_format: "float",
    });
    near(floats.data[0]!.embedding, expected.row(0) as Float32Array);
    const cut = await client.embeddings.create({ model: "tiny-embedder", input: TEXTS[0]!, dimensions: 3 });
    assert.equal(cut.data[0]!.embedding.length, 3);
    assert.ok(Math.abs(Math.hypot(...cut.data[0]!.embedding) - 1) < 1e-5);
    const { ids } = local.tokenizer.encode(TEXTS[0]!, { addSpecialTokens: false });
    const lists = await client.embeddings.create({ model: "tiny-embedder", input: [[...ids], [...ids]] });
    near(lists.data[1]!.embedding, expected.row(0) as Float32Array);
    const names = (await client.models.list()).data.map(({ id }) => id);
    assert.deepEqual(names, ["moods", "tiny-embedder", "tiny-reranker"]);
    assert.equal((await client.models.retrieve("moods")).id, "moods");
  });

  test("the client of OpenAI gets errors that it knows", async () => {
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
    const create = (body: object): Promise<unknown> =>
      client.embeddings.create({ model: "tiny-embedder", input: "a", ...body } as never);
    for (const [model, message] of [
      ["nope", /does not exist; loaded: tiny-embedder$/],
      ["moods", /makes no vectors: it is a classifier model; loaded: tiny-embedder$/],
    ] as const) {
      await assert.rejects(create({ model }), (error: unknown) => {
        assert.ok(error instanceof OpenAI.NotFoundError);
        assert.deepEqual([error.code, error.param], ["model_not_found", "model"]);
        assert.match(error.message, message);
        return true;
      });
    }
    const wrong: readonly (readonly [body: object, param: string])[] = [
      [{ input: [1.5] }, "input"],
      [{ input: { text: "a" } }, "input"],
      [{ input: [999] }, "input"],
      [{ input: [[1], [-1]] }, "input"],
      [{ dimensions: 0 }, "dimensions"],
      [{ dimensions: 9 }, "dimensions"],
      [{ encoding_format: "hex" }, "encoding_format"],
      [{ prompt_name: "nope" }, "prompt_name"],
    ];
    for (const [body, param] of wrong) {
      await assert.rejects(create(body), (error: unknown) => {
        assert.ok(error instanceof OpenAI.BadRequestError, String(error));
        assert.equal(error.param, param);
        return true;
      });
    }
    for (const [request, status] of [
      [{ method: "POST", body: "{" }, 400],
      [{ method: "GET" }, 405],
    ] as const) {
      const broken = await fetch(`${url}/v1/embeddings`, request);
      assert.equal(broken.status, status);
      const { error } = (await broken.json()) as { error: { type: string; message: string } };
      assert.equal(error.type, "invalid_request_error");
      assert.ok(error.message.length > 0);
    }
  });

  test("a key that is missing is told in the words of each client", async () => {
    const args = [
      "serve",
      "models/tiny-embedder",
      "--http-port",
      "0",
      "--isolation",
      "inline",
      "--metrics-port",
      "off",
    ];
    const started = startCli([...args, "--json"], {
      cwd,
      env: {
        TENON_CACHE: join(cwd, "cache"),
        TENON_GRPC_PORT: "off",
        TENON_API_KEY: "a-key-of-some-letters",
      },
    });
    try {
      const locked = (JSON.parse(await firstLine(started)) as { url: string }).url;
      const client = new OpenAI({ baseURL: `${locked}/v1`, apiKey: "none", maxRetries: 0 });
      await assert.rejects(
        client.embeddings.create({ model: "tiny-embedder", input: "a" }),
        (error: unknown) => {
          assert.ok(error instanceof OpenAI.AuthenticationError);
          assert.equal(error.code, "invalid_api_key");
          assert.doesNotMatch(error.message, /no body/);
          return true;
        },
      );
      const other = await fetch(`${locked}/embed`, { method: "POST", body: '{"inputs":"a"}' });
      assert.equal(other.status, 401);
      assert.equal(((await other.json()) as { error_type: string }).error_type, "Validation");
    } finally {
      started.kill("SIGTERM");
      await once(started, "close");
    }
  });

  test("the routes of text-embeddings-inference for vectors", async () => {
    const expected = await local.embed(TEXTS);
    const { status, body, headers } = await post("/embed", { inputs: TEXTS, truncate: true });
    assert.equal(status, 200);
    (body as number[][]).forEach((row, i) => {
      near(row, expected.row(i) as Float32Array);
    });
    assert.deepEqual(timesIn(headers), ["total", "tokenization", "queue", "inference"]);
    const prompted = await post("/embed", { inputs: "one", prompt_name: "query" });
    near((prompted.body as number[][])[0]!, (await local.query("one")) as Float32Array);
    const all = (await post("/embed_all", { inputs: ["a red one"] })).body as number[][][];
    assert.deepEqual([all.length, all[0]!.length, all[0]![0]!.length], [1, 5, 8]);
    const inputs = { source_sentence: "a", sentences: ["a", "two things"] };
    const similar = (await post("/similarity", { inputs })).body as number[];
    assert.ok(Math.abs(similar[0]! - 1) < 1e-5 && similar[1]! < 1);
    const info = (await (await fetch(`${url}/info?model=tiny-embedder`)).json()) as Record<string, unknown>;
    assert.equal(info.max_input_length, 10);
    assert.equal(info.model_dtype, "float32");
    assert.deepEqual(info.model_type, { embedding: { pooling: "mean" } });
    assert.equal((await fetch(`${url}/health`)).status, 200);
    assert.equal((await post("/embed_sparse", { inputs: "a" })).status, 424);
  });

  test("headers tell the times that were measured, and no others", async () => {
    const told = async (path: string, body: unknown): Promise<string[]> => {
      const { status, headers } = await post(path, body);
      assert.equal(status, 200, path);
      return timesIn(headers);
    };
    const all = ["total", "tokenization", "queue", "inference"];
    assert.deepEqual(await told("/rerank", { query: "red", texts: TEXTS }), all);
    assert.deepEqual(await told("/predict?model=moods", { inputs: "red" }), all);
    assert.deepEqual(await told("/embed_all", { inputs: "red" }), ["total", "tokenization", "inference"]);
    assert.deepEqual(await told("/tokenize?model=moods", { inputs: "red" }), ["total", "tokenization"]);
    assert.deepEqual(await told("/decode?model=moods", { ids: [14] }), ["total"]);
    // Batches have few of so many texts, and the others wait.
    const many = Array.from({ length: 20_000 }, (_, i) => `a b ${["c", "d", "e"][i % 3]} ${i}`);
    const { headers } = await post("/embed?model=tiny-embedder", { inputs: many, truncate: true });
    const [total, queue] = ["total", "queue"].map((name) => Number(headers.get(`x-${name}-time`)));
    assert.ok(queue! > 0 && queue! <= total!, `${queue} of ${total} ms`);
  });

  test("a client that has the address alone gets what the model is for", async () => {
    const root = await post("/?model=tiny-embedder", { inputs: TEXTS });
    assert.deepEqual(root.body, (await post("/embed", { inputs: TEXTS })).body);
    const ranked = await post("/?model=tiny-reranker", { query: "red", texts: TEXTS });
    assert.deepEqual(ranked.body, (await post("/rerank", { query: "red", texts: TEXTS })).body);
    const moods = await post("/?model=moods", { inputs: "a red one" });
    assert.deepEqual(moods.body, (await post("/predict?model=moods", { inputs: "a red one" })).body);
    assert.equal((await post("/", { inputs: "a" })).status, 400, "three models could answer");
  });

  test("tokens and back, with places in characters", async () => {
    const { body } = await post("/tokenize?model=tiny-embedder", { inputs: "reds a" });
    assert.deepEqual((body as object[][])[0]!.slice(0, 3), [
      { id: 2, text: "[CLS]", special: true, start: null, stop: null },
      { id: 14, text: "red", special: false, start: 0, stop: 3 },
      { id: 17, text: "s", special: false, start: 3, stop: 4 },
    ]);
    const decoded = await post("/decode?model=tiny-embedder", {
      ids: [[2, 14, 17, 3]],
      skip_special_tokens: true,
    });
    assert.deepEqual(decoded.body, ["reds"]);
  });

  test("rerankers and classifiers, and the command", async () => {
    const folder = join(cwd, "models/tiny-reranker");
    await using model = await reranker(folder, { cache: false, lanes: 1 });
    const hits = await model.rank("red", TEXTS);
    assert.ok(hits.every(({ score }, i) => i === 0 || score <= hits[i - 1]!.score));
    const { body } = await post("/rerank", { query: "red", texts: TEXTS, return_text: true });
    (body as { index: number; score: number; text: string }[]).forEach(({ index, score, text }, i) => {
      assert.equal(index, hits[i]!.index);
      assert.equal(text, TEXTS[index]);
      assert.ok(Math.abs(score - hits[i]!.score) < 1e-5);
    });
    const raw = await model.rank("red", TEXTS, { rawScores: true, topK: 1 });
    assert.equal(raw.length, 1);
    assert.ok(Math.abs(1 / (1 + Math.exp(-raw[0]!.score)) - hits[0]!.score) < 1e-6);
    const env = { TENON_CACHE: join(cwd, "cache") };
    const lines = TEXTS.slice(0, 2)
      .map((text) => `${text}\n`)
      .join("");
    const { writeFileSync } = await import("node:fs");
    writeFileSync(join(cwd, "texts.txt"), lines);
    const ranked = await runCli(
      ["rerank", folder, "--query", "red", "--input", "texts.txt", "--top-k", "1"],
      { cwd, env },
    );
    assert.equal(ranked.code, 0, ranked.stderr);
    const best = JSON.parse(ranked.stdout) as { index: number; text: string };
    assert.equal(best.text, hits.find(({ index }) => index < 2)!.text);

    await using moods = await classifier(join(cwd, "models/moods"), {
      cache: false,
      lanes: 1,
      name: "moods",
    });
    const [single] = await moods.classify(["a red one"]);
    assert.ok(Math.abs(single!.reduce((sum, { score }) => sum + score, 0) - 1) < 1e-6);
    const predicted = (await post("/predict?model=moods", { inputs: "a red one" })).body as {
      label: string;
      score: number;
    }[];
    assert.deepEqual(
      predicted.map(({ label }) => label),
      single!.map(({ label }) => label),
    );
    const several = await post("/predict?model=moods", { inputs: [["a"], ["a", "b"]] });
    assert.equal((several.body as unknown[][]).length, 2);
    await assert.rejects(moods.rank("a", ["b"]), { code: "MODEL_UNSUPPORTED" });
  });

  test("refusals of text-embeddings-inference have their kind", async () => {
    const long = "a b c d e f one two three red green";
    const cases: readonly (readonly [path: string, body: unknown, status: number, kind: string])[] = [
      ["/embed", { inputs: [] }, 400, "Empty"],
      ["/embed", { inputs: long }, 413, "Validation"],
      ["/embed", {}, 413, "Validation"],
      ["/embed", { inputs: "a", normalize: false }, 413, "Validation"],
      ["/embed?model=nope", { inputs: "a" }, 400, "Validation"],
      ["/tokenize", { inputs: "a" }, 400, "Validation"],
      ["/rerank", { query: "a", texts: [] }, 400, "Empty"],
      ["/similarity", { inputs: { source_sentence: "a", sentences: [] } }, 400, "Empty"],
      [
        "/similarity",
        { inputs: { source_sentence: "a", sentences: ["b"] }, parameters: [] },
        413,
        "Validation",
      ],
      ["/predict?model=moods", { inputs: [["a", "b", "c"]] }, 413, "Validation"],
    ];
    for (const [path, given, status, kind] of cases) {
      const { status: got, body } = await post(path, given);
      assert.equal(got, status, path);
      assert.equal((body as { error_type: string }).error_type, kind);
    }
    assert.equal((await post("/embed", { inputs: long, truncate: true })).status, 200);
  });

  test("the protocol of inference has the same model under the same name", async () => {
    const metadata = (await (await fetch(`${url}/v2/models/tiny-embedder`)).json()) as {
      outputs: { name: string }[];
    };
    assert.deepEqual(
      metadata.outputs.map(({ name }) => name),
      ["sentence_embedding", "last_hidden_state"],
    );
  });
});
