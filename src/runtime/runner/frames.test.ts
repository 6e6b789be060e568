/** Doorbell frames: whole however the stream is cut. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeJson, encodeFrame, encodeJson, FRAME, FrameReader } from "./frames.js";

test("frames and payloads come out as they went in, at any cuts", () => {
  const frame = fc.oneof(
    fc.record({
      kind: fc.constantFrom(FRAME.submit, FRAME.done, FRAME.cancel),
      slot: fc.nat(65_535),
      sequence: fc.nat(2 ** 32 - 1),
    }),
    fc.record({ json: fc.string() }),
  );
  fc.assert(
    fc.property(fc.array(frame), fc.array(fc.integer({ min: 1, max: 20 })), (frames, cuts) => {
      const stream = Buffer.concat(
        frames.map((one) =>
          "json" in one
            ? encodeJson(FRAME.loaded, 0, one.json)
            : encodeFrame(one.kind, one.slot, one.sequence),
        ),
      );
      const seen: unknown[] = [];
      const reader = new FrameReader(1 << 20, ({ kind, slot, sequence }, payload) => {
        seen.push(kind === FRAME.loaded ? { json: decodeJson(payload) } : { kind, slot, sequence });
      });
      let at = 0;
      for (let i = 0; at < stream.length; i++) {
        const count = cuts.length === 0 ? stream.length : cuts[i % cuts.length]!;
        reader.push(stream.subarray(at, at + count));
        at += count;
      }
      assert.deepEqual(
        seen,
        frames.map((one) => ({ ...one })),
      );
    }),
  );
});

test("a payload beyond the limit is refused before it is read", () => {
  const reader = new FrameReader(100, () => assert.fail("no frame was whole"));
  assert.throws(() => reader.push(encodeFrame(FRAME.failed, 0, 101)), RangeError);
});
