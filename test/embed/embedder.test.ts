/** The embedder's scheduling: vectors do not depend on company, order, lanes or duplicates; streams hold back their source. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Embedder, embedder, type TextTimes } from "tenon/embed";
import { seededRandom } from "../support/random.js";
import { saveTinyEmbedder, TINY_TOKENIZER } from "../support/tiny-embedder.js";

const WORDS = "a b c d e f one two three red green blue reds things unknown".split(" ");

function texts(count: number, seed: number): string[] {
  const random = seededRandom(seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  return Array.from({ length: count }, () =>
    Array.from({ length: below(9) }, () => WORDS[below(WORDS.length)]!).join(" "),
  );
}

describe("an embedder", () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-embedder-"));
  let model: Embedder;
  before(async () => {
    await saveTinyEmbedder(folder);
    model = await embedder(folder, { cache: false, lanes: 2, budget: 64, name: "tiny" });
  });
  after(async () => {
    await model.close();
    rmSync(folder, { recursive: true });
  });

  const apart = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
    Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)));

  test("vectors are the same alone, in company, in any order and beside other calls", async () => {
    const all = texts(400, 1);
    const [matrix, shuffled, short] = await Promise.all([
      model.embed(all),
      model.embed([...all].reverse()),
      model.embed(all.slice(0, 5)),
    ]);
    assert.equal(matrix.rows, 400);
    for (let i = 0; i < 400; i++) assert.ok(apart(matrix.row(i), shuffled.row(399 - i)) < 1e-6);
    for (let i = 0; i < 5; i++) assert.ok(apart(matrix.row(i), short.row(i)) < 1e-6);
    for (let i = 0; i < 400; i += 37) assert.ok(apart(matrix.row(i), await model.query(all[i]!)) < 1e-6);
  });

  test("equal texts are embedded once, empty ones like others, no texts give no rows", async () => {
    const before = model.explain().texts;
    const matrix = await model.embed([...new Array<string>(50).fill("red"), "", "green", "red"]);
    assert.equal(model.explain().texts - before, 3);
    assert.deepEqual(matrix.row(0), matrix.row(52));
    assert.equal(matrix.tokens[50], 2);
    const none = await model.embed([]);
    assert.deepEqual([none.rows, none.data.length], [0, 0]);
  });

  test("a call is told what its time went to", async () => {
    await using one = await embedder(folder, { cache: false, lanes: 1, budget: 1, name: "one" });
    const times: TextTimes = { texts: 0 };
    const start = performance.now();
    await one.embed([...WORDS, "red"], { times });
    const wall = performance.now() - start;
    const { texts: count, tokenizeMs, queueMs, runMs } = times;
    // One text runs after another: each run is waited for by all that come behind it, and by the same text twice.
    assert.equal(count, WORDS.length + 1);
    assert.ok(tokenizeMs! > 0 && tokenizeMs! < wall, `${tokenizeMs} of ${wall}`);
    assert.ok(runMs! > 0 && runMs! < 2 * wall, `${runMs} of ${wall}`);
    assert.ok(queueMs! > 0 && queueMs! < count * wall, `${queueMs} of ${wall}`);
    const scored: TextTimes = { texts: 0 };
    await one.embedIds([[5], [6, 7]], { times: scored });
    assert.equal(scored.texts, 2);
  });

  test("a token that the model has no row for is named, others run", async () => {
    const { vocab, ...rest } = TINY_TOKENIZER.model;
    const part = { ...rest, vocab: { ...vocab, panda: 20, pad: 21 } };
    const files = {
      "tokenizer.json": { ...TINY_TOKENIZER, model: part },
      "config.json": { pad_token_id: 21 },
    };
    const wide = await saveTinyEmbedder(join(folder, "wide"), files);
    await using other = await embedder(wide, { cache: false, lanes: 1, name: "wide" });
    const refusal = { code: "INPUT_VALUE", message: /text 1 has .* id 20, "panda".* below 20/s };
    await assert.rejects(other.embed(["red", "a panda"]), refusal);
    await assert.rejects(other.embedIds([[20]]), { code: "INPUT_VALUE", message: /token list 0/ });
    const some = ["red", "one two three", "a"];
    const [wanted, got] = [await model.embed(some), await other.embed(some)];
    for (const i of some.keys()) assert.ok(apart(got.row(i), wanted.row(i)) < 1e-6);
  });

  test("batches keep within the budget of tokens", async () => {
    const { batches, padding } = model.explain();
    await model.embed(
      Array.from(
        { length: 300 },
        (_, i) => `a b c ${WORDS[i % 12]} ${WORDS[(i * 7) % 12]} ${"d ".repeat(i % 3)}`,
      ),
    );
    const now = model.explain();
    assert.ok(now.batches > batches);
    assert.ok(now.padding < 0.5 && padding < 0.5);
    assert.equal(now.budget, 64);
  });

  test("what is no text is refused with its index, a cancelled call ends", async () => {
    await assert.rejects(model.embed(["a", 7 as unknown as string]), {
      code: "USAGE",
      message: /text 1 is no string/,
    });
    await assert.rejects(model.embed("abc" as unknown as string[]), { code: "USAGE" });
    await assert.rejects(model.embed(["a"], { signal: AbortSignal.abort() }), { code: "CANCELLED" });
    const controller = new AbortController();
    const running = model.embed(texts(3000, 4), {
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await assert.rejects(running, { code: "CANCELLED" });
    assert.equal((await model.embed(["a"])).rows, 1);
  });

  test("a stream gives vectors in order and holds its source back", async () => {
    const all = texts(9000, 2);
    let asked = 0;
    let closed = false;
    function* source(): Generator<{ body: string }> {
      try {
        for (const body of all) {
          asked++;
          yield { body };
        }
      } finally {
        closed = true;
      }
    }
    const expected = await model.embed(all.slice(0, 3000));
    let seen = 0;
    for await (const { item, vector, index } of model.stream(source(), { text: ({ body }) => body })) {
      assert.equal(index, seen);
      assert.equal(item.body, all[index]);
      if (index % 101 === 0) assert.ok(apart(vector, expected.row(index)) < 1e-6);
      assert.ok(asked - seen <= 3 * 2048, `${asked} asked for at ${seen}`);
      if (++seen === 3000) break;
    }
    assert.ok(closed);
    const indices: number[] = [];
    for await (const { index } of model.stream(all.slice(0, 500), { order: false })) indices.push(index);
    assert.deepEqual(
      indices.sort((a, b) => a - b),
      Array.from({ length: 500 }, (_, i) => i),
    );
    await assert.rejects(
      async () => {
        for await (const _ of model.stream(["a", null as unknown as string])) assert.ok(true);
      },
      { code: "USAGE" },
    );
  });

  test("a closed embedder refuses and rejects what waits", async () => {
    const other = await embedder(folder, { cache: false, lanes: 1, name: "other" });
    const waiting = other.embed(texts(2000, 3));
    const refused = assert.rejects(waiting, { code: "ENGINE_CLOSED" });
    await other.close();
    await refused;
    await assert.rejects(other.embed(["a"]), { code: "ENGINE_CLOSED" });
  });
});
