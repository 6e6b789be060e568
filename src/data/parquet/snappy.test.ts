/** Snappy: kernels and loops give the same bytes, and the same refusals of damaged ones. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isTenonError } from "../../base/index.js";
import { hasSimd } from "../../simd/index.js";
import { compressInScript, snappyCompress, snappyDecompress } from "./snappy.js";
import { decompressByKernel } from "./snappy-memory.js";

/** Bytes with repeats at many distances: runs of a short alphabet, counted numbers, and noise. */
const bytes = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.integer({ min: 200, max: 3000 }).map((size) => randomBytes(size, size)),
      fc
        .tuple(fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.integer({ min: 1, max: 400 }))
        .map(([part, times]) => Buffer.concat(new Array<Uint8Array>(times).fill(part))),
      fc.integer({ min: 1, max: 12_000 }).map((count) => {
        const counted = BigInt64Array.from({ length: count }, (_, i) => BigInt(i * 7));
        return new Uint8Array(counted.buffer);
      }),
    ),
    { maxLength: 8 },
  )
  .map((parts) => new Uint8Array(Buffer.concat(parts)));

/** Noise, in which nothing repeats. */
function randomBytes(count: number, seed: number): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  });
}

function headOf(length: number): number[] {
  const head: number[] = [];
  for (let rest = length; ; rest = Math.floor(rest / 128)) {
    head.push(rest >= 128 ? (rest % 128) | 128 : rest);
    if (rest < 128) return head;
  }
}

test("the kernel compresses to the bytes of the script, and both ways back give the source", () => {
  fc.assert(
    fc.property(bytes, (source) => {
      const compressed = snappyCompress(source);
      const head = headOf(source.length);
      assert.deepEqual(Buffer.from(compressed), Buffer.from(compressInScript(source, head)));
      const target = new Uint8Array(source.length + 3);
      assert.equal(snappyDecompress(compressed, target, 1), source.length);
      assert.deepEqual(target.subarray(1, 1 + source.length), source);
      target.fill(0);
      snappyDecompress(compressed, target, 0, () => false);
      assert.deepEqual(target.subarray(0, source.length), source);
      if (!hasSimd()) return;
      target.fill(0);
      assert.ok(decompressByKernel(compressed.subarray(head.length), source.length, target, 2));
      assert.deepEqual(target.subarray(2, 2 + source.length), source);
    }),
    { numRuns: 200 },
  );
});

test("damaged elements are refused by the kernel where the script refuses them", {
  skip: hasSimd() ? false : "WebAssembly has no SIMD here",
}, () => {
  fc.assert(
    fc.property(
      bytes.filter((source) => source.length > 8 && source.length < 4000),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      fc.nat(40),
      (source, changes, cut) => {
        const head = headOf(source.length).length;
        const whole = snappyCompress(source);
        const damaged = whole.slice(0, Math.max(head + 1, whole.length - cut));
        for (const [at, value] of changes) damaged[head + (at % (damaged.length - head))] = value;
        const [byKernel, byScript] = [new Uint8Array(source.length), new Uint8Array(source.length)];
        const good = decompressByKernel(damaged.subarray(head), source.length, byKernel, 0);
        try {
          snappyDecompress(damaged, byScript, 0, () => false);
        } catch (error) {
          assert.ok(isTenonError(error, "FILE_INVALID"));
          assert.equal(good, false);
          return;
        }
        assert.ok(good);
        assert.deepEqual(byKernel, byScript);
      },
    ),
    { numRuns: 500 },
  );
});

test("damage behind many short elements is an error, not other bytes", () => {
  const source = new Uint8Array(BigInt64Array.from({ length: 5000 }, (_, i) => BigInt(i)).buffer);
  const compressed = snappyCompress(source);
  const target = new Uint8Array(source.length);
  assert.throws(() => snappyDecompress(compressed.subarray(0, -2), target, 0), { code: "FILE_INVALID" });
  const longer = Buffer.concat([compressed, Uint8Array.of(0, 1)]);
  assert.throws(() => snappyDecompress(longer, target, 0), { code: "FILE_INVALID" });
});
