/** Views against a plain reference: every chain of view steps reads the same elements as nested arrays do. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isTenonError } from "../base/index.js";
import { sizeOf } from "./layout.js";
import { tensor } from "./make.js";
import type { Tensor } from "./tensor.js";

const shapes = fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 0, maxLength: 4 });

function counting(shape: readonly number[]): Tensor<"int32"> {
  const size = sizeOf(shape);
  return tensor(
    Int32Array.from({ length: size }, (_, i) => i),
    { shape },
  );
}

function elements(x: Tensor): unknown[] {
  return ([x.toArray()] as unknown[]).flat(x.rank);
}

test("transpose, slice and reverse read what indexing reads", () => {
  fc.assert(
    fc.property(shapes, fc.infiniteStream(fc.integer({ min: -5, max: 5 })), (shape, random) => {
      const pick = (): number => random.next().value as number;
      const x = counting(shape);
      const order = shape.map((_, axis) => axis).sort(() => pick());
      const step = (): number => pick() || 1;
      const view = x
        .transpose(...(order.length === 0 ? [] : order))
        .slice(...shape.map(() => [pick(), pick(), step()] as const));
      const copy = view.clone();
      assert.deepEqual(copy.toArray(), view.toArray());
      assert.ok(copy.isDense);
      assert.deepEqual(view.contiguous().toArray(), view.toArray());
      if (view.size > 0) {
        const at = view.shape.map((dim) => Math.abs(pick()) % dim);
        assert.equal(view.at(...at), copy.at(...at));
      }
    }),
    { seed: 1 },
  );
});

test("slice is Python's slice", () => {
  const reference = (n: number, from: number | null, to: number | null, step: number): number[] => {
    const out: number[] = [];
    const low = (v: number): number =>
      v < 0 ? Math.max(v + n, step < 0 ? -1 : 0) : Math.min(v, step < 0 ? n - 1 : n);
    const start = from === null ? (step < 0 ? n - 1 : 0) : low(from);
    const stop = to === null ? (step < 0 ? -1 : n) : low(to);
    for (let i = start; step < 0 ? i > stop : i < stop; i += step) out.push(i);
    return out;
  };
  const bound = fc.option(fc.integer({ min: -7, max: 7 }));
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 5 }),
      bound,
      bound,
      fc.integer({ min: -3, max: 3 }),
      (n, from, to, step) => {
        fc.pre(step !== 0);
        assert.deepEqual(counting([n]).slice([from, to, step]).toArray(), reference(n, from, to, step));
      },
    ),
    { seed: 2 },
  );
});

test("reshape keeps the row-major order, or says that it needs a copy", () => {
  fc.assert(
    fc.property(shapes, fc.boolean(), fc.nat(3), (shape, flip, cut) => {
      const x = flip ? counting(shape).transpose() : counting(shape);
      for (const target of [[-1], [x.size], [x.size, 1], [1, x.size, 1]]) {
        if (target.includes(-1) && x.size === 0) continue;
        try {
          assert.deepEqual(elements(x.reshape(target)), elements(x));
        } catch (error) {
          assert.ok(isTenonError(error, "TENSOR_SHAPE") && !x.isDense);
        }
      }
      if (shape.length >= 2) {
        const merged = [shape[0]! * shape[1]!, ...shape.slice(2)];
        const y = counting([...shape, cut + 2]).select(-1, 0);
        assert.deepEqual(elements(y.reshape(merged)), elements(y));
      }
    }),
    { seed: 3 },
  );
});

test("broadcastTo, squeeze, unsqueeze, split, select", () => {
  const x = counting([2, 1, 3]);
  assert.deepEqual(x.broadcastTo([2, 2, 3]).toArray(), [
    [
      [0, 1, 2],
      [0, 1, 2],
    ],
    [
      [3, 4, 5],
      [3, 4, 5],
    ],
  ]);
  assert.deepEqual(x.squeeze().shape, [2, 3]);
  assert.deepEqual(x.squeeze(1).unsqueeze(-1).shape, [2, 3, 1]);
  assert.deepEqual(
    x.split([1, 2], 2).map((part) => part.toArray()),
    [
      [[[0]], [[3]]],
      [[[1, 2]], [[4, 5]]],
    ],
  );
  assert.deepEqual(x.select(0, -1).toArray(), [[3, 4, 5]]);
  assert.throws(
    () => x.squeeze(0),
    (e) => isTenonError(e, "TENSOR_SHAPE"),
  );
  assert.throws(
    () => x.broadcastTo([2, 3]),
    (e) => isTenonError(e, "TENSOR_SHAPE"),
  );
  assert.throws(
    () => x.at(0, 0, 3),
    (e) => isTenonError(e, "TENSOR_SHAPE"),
  );
  assert.throws(() => x.transpose().data, /contiguous/);
});

test("views share storage: a write through the source is seen", () => {
  const x = tensor([
    [1, 2],
    [3, 4],
  ]);
  const column = x.select(1, 1);
  x.data[3] = 9;
  assert.deepEqual(column.toArray(), [2, 9]);
  assert.deepEqual(x.slice(1).data, Float32Array.of(3, 9));
});
