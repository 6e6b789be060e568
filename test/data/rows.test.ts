/** Datasets over tables that the program makes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pack, rows, strings } from "tenon/data";

describe("rows", () => {
  const table = (from: number, count: number) => ({
    a: Float32Array.from({ length: count }, (_, i) => from + i),
    t: Array.from({ length: count }, (_, i) => `t${from + i}`),
  });

  it("gives tables in batches of its own size, and goes on from a position", async () => {
    const dataset = rows([table(0, 5), table(5, 3), table(8, 4)])
      .tensors({ x: pack(["a"]), t: strings("t") })
      .batch(4);
    const seen: number[] = [];
    const texts: string[] = [];
    const nexts = [];
    for await (const { data, next } of dataset) {
      seen.push(...(data.x.data as Float32Array));
      texts.push(...data.t.data);
      nexts.push(next);
    }
    assert.deepEqual(
      seen,
      Array.from({ length: 12 }, (_, i) => i),
    );
    assert.deepEqual(texts.slice(3, 6), ["t3", "t4", "t5"]);
    const rest: number[] = [];
    for await (const { data } of dataset.iterate({ from: nexts[0]! }))
      rest.push(...(data.x.data as Float32Array));
    assert.deepEqual(rest, seen.slice(4));
  });

  it("takes an async iterable, closes it early, and refuses a shuffle and another type", async () => {
    let closed = false;
    async function* made() {
      try {
        for (let i = 0; ; i += 2) yield table(i, 2);
      } finally {
        closed = true;
      }
    }
    for await (const { rows: count } of rows(made()).batch(3)) {
      assert.equal(count, 3);
      break;
    }
    assert.ok(closed);
    await assert.rejects(
      () =>
        rows([table(0, 2)])
          .shuffle({ seed: 1 })
          .iterate()
          .next(),
      /in its order/,
    );
    const other = { a: Int32Array.of(1), t: ["x"] };
    await assert.rejects(async () => {
      for await (const _ of rows([table(0, 2), other])) assert.ok(_);
    }, /differ in column "a"/);
  });
});
