/** The response cache's bounds and keys, and runs that are shared while they are under way. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isTenonError } from "../../base/index.js";
import { type Outputs, outputRecord } from "../../runtime/index.js";
import { tensor } from "../../tensor/index.js";
import { Flights } from "./flights.js";
import { contentKey, ResponseCache } from "./response-cache.js";

const answer = (...values: number[]): Outputs => outputRecord(["y"], [tensor(values, { dtype: "float32" })]);
const read = (outputs: Outputs | undefined): unknown => outputs?.y?.toArray();

describe("ResponseCache", () => {
  it("keeps copies, and gives the least used up first", () => {
    const cache = new ResponseCache(2 * (512 + 8));
    const made = tensor([1, 2], { dtype: "float32" });
    cache.put("a", outputRecord(["y"], [made]));
    (made.data as Float32Array)[0] = 9;
    cache.put("b", answer(3, 4));
    assert.deepEqual(read(cache.get("a")), [1, 2]);
    cache.put("c", answer(5, 6));
    assert.equal(cache.get("b"), undefined);
    assert.deepEqual(
      [read(cache.get("a")), read(cache.get("c"))],
      [
        [1, 2],
        [5, 6],
      ],
    );
    assert.equal(cache.bytes, 2 * 520);
    cache.put("a", answer(7, 8));
    assert.equal(cache.bytes, 2 * 520);
    cache.put("large", answer(...new Array<number>(300).fill(1)));
    assert.deepEqual([read(cache.get("large")), read(cache.get("a"))], [undefined, [7, 8]]);
  });

  it("tells requests apart by everything that an answer depends on", () => {
    const [model, other] = [{}, {}];
    const x = tensor([1, 2], { dtype: "float32" });
    const requests: Parameters<typeof contentKey>[] = [
      [model, { x }, undefined],
      [other, { x }, undefined],
      [model, { x }, ["y"]],
      [model, { x }, ["z"]],
      [model, { z: x }, undefined],
      [model, { x, z: x }, undefined],
      [model, { x: tensor([1, 3], { dtype: "float32" }) }, undefined],
      [model, { x: x.reshape([1, 2]) }, undefined],
      [model, { x: tensor([1, 2], { dtype: "int32" }) }, undefined],
      [model, { x: tensor(["a", "bc"]) }, undefined],
      [model, { x: tensor(["ab", "c"]) }, undefined],
    ];
    assert.equal(new Set(requests.map((request) => contentKey(...request))).size, requests.length);
    const strided = tensor(
      [
        [1, 5],
        [2, 6],
      ],
      { dtype: "float32" },
    )
      .slice([0, 2], [0, 1])
      .reshape([2]);
    assert.equal(contentKey(model, { x: strided }, ["b", "a"]), contentKey(model, { x }, ["a", "b"]));
  });
});

describe("Flights", () => {
  it("share one run, whose outputs live until nobody holds them", async () => {
    const flights = new Flights();
    let runs = 0;
    let disposed = 0;
    let finish: (outputs: Outputs) => void = () => undefined;
    const run = (): Promise<Outputs> => {
      runs++;
      return new Promise((resolve) => (finish = resolve));
    };
    const waiting = [1, 2, 3].map(() => flights.join("key", {}, run));
    const elsewhere = new AbortController();
    const given = flights.join("key", { signal: elsewhere.signal }, run);
    elsewhere.abort();
    await assert.rejects(given, (error) => isTenonError(error, "CANCELLED"));
    finish(Object.defineProperty(answer(1), Symbol.dispose, { value: () => disposed++ }));
    const outputs = await Promise.all(waiting);
    assert.deepEqual(outputs.map(read), [[1], [1], [1]]);
    assert.equal(runs, 1);
    outputs[0]![Symbol.dispose]();
    outputs[0]![Symbol.dispose]();
    outputs[1]![Symbol.dispose]();
    assert.equal(disposed, 0);
    outputs[2]![Symbol.dispose]();
    assert.equal(disposed, 1);
    const next = flights.join("key", {}, () => Promise.reject(new Error("broken")));
    await assert.rejects(next, (error) => isTenonError(error, "INTERNAL"));
    assert.deepEqual(read(await flights.join("key", {}, async () => answer(2))), [2]);
  });

  it("stop the run that nobody waits for any more", async () => {
    const flights = new Flights();
    let stopped = false;
    const run = (signal: AbortSignal): Promise<Outputs> =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => {
          stopped = true;
          reject(new Error("stopped"));
        });
      });
    const late = flights.join("key", { deadlineMs: 1 }, run);
    await assert.rejects(late, (error) => isTenonError(error, "DEADLINE"));
    assert.ok(stopped);
    assert.deepEqual(read(await flights.join("key", {}, async () => answer(3))), [3]);
  });
});
