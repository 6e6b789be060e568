/** Framing: messages cut anywhere come out whole, aligned where asked, and within the limit. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BodyPool } from "../http/body-pool.js";
import { contentOf, type Frame, FrameReader, prefixOf } from "./frames.js";
import { percentEncoded, timeoutOf } from "./status.js";

function read(chunks: readonly Buffer[], maxBytes = 1000, alignAt?: () => number): Frame[] {
  const frames: Frame[] = [];
  const reader = new FrameReader({ maxBytes, pool: new BodyPool(), alignAt }, (frame) => frames.push(frame));
  for (const chunk of chunks) reader.add(chunk);
  assert.equal(reader.inside, false);
  return frames;
}

describe("frames", () => {
  const messages = ["", "a", "b".repeat(700)].map((text) => Buffer.from(text));
  const bytes = Buffer.concat(messages.flatMap((message) => [prefixOf(message.length), message]));

  it("come out whole wherever they are cut", () => {
    for (const size of [1, 2, 3, 5, 7, 11, 700, bytes.length]) {
      const chunks: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
      assert.deepEqual(
        read(chunks).map((frame) => frame.bytes.toString()),
        messages.map(String),
      );
    }
  });

  it("lie so that the place asked for is aligned", () => {
    for (const place of [0, 1, 7, 13]) {
      const [frame] = read([prefixOf(100), Buffer.alloc(60), Buffer.alloc(40)], 1000, () => place);
      assert.equal((frame!.bytes.byteOffset + place) % 8, 0);
    }
  });

  it("are refused over the limit and with an unknown flag", () => {
    assert.throws(() => read([prefixOf(1001)]), /1001 vs\. 1000/);
    assert.throws(() => read([Buffer.from([2, 0, 0, 0, 0])]), /first byte is 2/);
  });

  it("decompress within the limit only", async () => {
    const { gzipSync } = await import("node:zlib");
    const frame = { compressed: true, bytes: gzipSync(Buffer.alloc(5000)) };
    assert.equal((await contentOf(frame, "gzip", 5000)).length, 5000);
    await assert.rejects(async () => contentOf(frame, "gzip", 4999), /larger than max/);
    await assert.rejects(
      async () => contentOf({ ...frame, bytes: Buffer.from("no") }, "gzip", 10),
      /not valid gzip/,
    );
    await assert.rejects(async () => contentOf(frame, "br", 5000), /identity, gzip or deflate/);
  });
});

describe("metadata", () => {
  it("has time limits in six units", () => {
    const cases = { "5S": 5000, "7m": 7, "2M": 120_000, "1H": 3_600_000, "1000u": 1, "1000000n": 1 };
    for (const [text, ms] of Object.entries(cases)) assert.equal(timeoutOf(text), ms);
    for (const text of ["", "5", "S", "123456789S", "-1S", "5s"]) assert.equal(timeoutOf(text), undefined);
  });

  it("has texts in printable ASCII", () => {
    assert.equal(percentEncoded("50% of ü\n"), "50%25 of %C3%BC%0A");
  });
});
