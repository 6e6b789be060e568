/** Maps over batches: order, concurrency, threads of a module, and what becomes of their errors. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isTenonError } from "tenon/base";
import { col, type Dataset, rows, strings } from "tenon/data";
import { type Tensor, tensor } from "tenon/tensor";
import { deadly, doubled, picky, type Sums } from "./map-module.js";

const worker = new URL("./map-module.js", import.meta.url);

const numbers = (count: number): Dataset<{ id: Tensor<"int32">; text: Tensor<"string"> }> =>
  rows([
    {
      id: Int32Array.from({ length: count }, (_, i) => i),
      text: Array.from({ length: count }, (_, i) => `ä${i}`),
    },
  ])
    .tensors({ id: col("id", "int32"), text: strings("text") })
    .batch(7);

async function read(
  dataset: Dataset<Sums>,
): Promise<{ sums: number[]; texts: string[]; threads: Set<number> }> {
  const found = { sums: [] as number[], texts: [] as string[], threads: new Set<number>() };
  for await (const batch of dataset) {
    found.sums.push(...batch.data.sums.data);
    found.texts.push(...batch.data.texts);
    found.threads.add(batch.data.thread);
    batch.release();
  }
  return found;
}

describe("map", () => {
  for (const concurrency of [1, 3])
    it(`gives the same in ${concurrency} threads as here, in order`, async () => {
      const here = await read(numbers(100).map(doubled));
      const there = await read(numbers(100).map(doubled, { concurrency, worker }).prefetch(3));
      assert.deepEqual(there.sums, here.sums);
      assert.deepEqual(
        there.sums,
        Array.from({ length: 100 }, (_, i) => 2 * i),
      );
      assert.deepEqual(
        there.texts,
        Array.from({ length: 100 }, (_, i) => `Ä${i}`),
      );
      assert.equal(there.threads.size, concurrency);
      assert.ok(!there.threads.has([...here.threads][0]!));
    });

  it("passes on what the function throws", async () => {
    const seen: number[] = [];
    const run = async (count: number, skip: number): Promise<void> => {
      for await (const { data } of numbers(count).skip(skip).map(picky, { worker })) seen.push(data);
    };
    await assert.rejects(run(100, 0), (error) => isTenonError(error, "TENSOR_VALUE") && error.given === "30");
    assert.deepEqual(seen, [7, 7, 7, 7]);
    await assert.rejects(run(100, 35), { name: "RangeError", message: "50 is worse" });
  });

  it("tells of a thread that ended, and of a module that is not there or lacks the function", async () => {
    const first = async (dataset: Dataset<unknown>): Promise<void> => {
      for await (const _ of dataset) break;
    };
    await assert.rejects(first(numbers(10).map(deadly, { worker })), /thread of a map has ended/);
    const missing = new URL("./no-such-module.js", import.meta.url);
    await assert.rejects(first(numbers(10).map(doubled, { worker: missing })), { code: "USAGE" });
    const lacking = new URL("../support/random.js", import.meta.url);
    await assert.rejects(first(numbers(10).map(doubled, { worker: lacking })), /no such function/);
  });

  it("leaves no thread behind when the reader stops early", async () => {
    const iterator = numbers(1000).map(doubled, { concurrency: 2, worker }).prefetch(4).iterate();
    await iterator.next();
    await iterator.return();
    assert.equal((await iterator.next()).done, true);
  });

  it("takes columns, whose numbers are views on larger memory", async () => {
    const table = rows([{ id: tensor(Int32Array.from({ length: 50 }, (_, i) => i)) }]).batch(20);
    const seen: number[] = [];
    const copied = table.map((columns) => columns);
    for await (const { data } of copied) seen.push((data.id as { values: Int32Array }).values.length);
    assert.deepEqual(seen, [20, 20, 10]);
  });
});
