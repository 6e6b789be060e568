/** TensorBoard's event files: read back by the format's own rules, checksums looked at. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { crc32c, TensorBoard } from "./tensorboard.js";

interface Read {
  readonly step: number;
  readonly version?: string;
  readonly values: Record<string, number>;
}

/** Fields of a protobuf message: numbers as they are, the others as bytes. */
function fields(bytes: Buffer): [number, Buffer | number][] {
  const found: [number, Buffer | number][] = [];
  let at = 0;
  const varint = (): number => {
    for (let value = 0, scale = 1; ; scale *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const [number, wire] = [key >> 3, key & 7];
    if (wire === 0) found.push([number, varint()]);
    else {
      const length = wire === 1 ? 8 : wire === 5 ? 4 : varint();
      found.push([number, bytes.subarray(at, at + length)]);
      at += length;
    }
  }
  return found;
}

function readEvents(bytes: Buffer): Read[] {
  const events: Read[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at));
    const message = bytes.subarray(at + 12, at + 12 + length);
    const sums: [Buffer, number][] = [
      [bytes.subarray(at, at + 8), bytes.readUInt32LE(at + 8)],
      [message, bytes.readUInt32LE(at + 12 + length)],
    ];
    for (const [part, sum] of sums) {
      const turned = (sum - 0xa282ead8) >>> 0;
      assert.equal(((turned >>> 17) | (turned << 15)) >>> 0, crc32c(part));
    }
    const own = new Map(fields(message));
    const values: Record<string, number> = {};
    const summary = own.get(5);
    if (Buffer.isBuffer(summary))
      for (const [, value] of fields(summary)) {
        const inner = new Map(fields(value as Buffer));
        values[String(inner.get(1))] = (inner.get(2) as Buffer).readFloatLE();
      }
    const version = own.get(3);
    events.push({
      step: (own.get(2) as number | undefined) ?? 0,
      ...(version === undefined ? {} : { version: String(version) }),
      values,
    });
    at += length + 16;
  }
  return events;
}

describe("TensorBoard's event files", () => {
  let dir = "";
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), "tenon-events-"));
  });
  after(() => rm(dir, { recursive: true, force: true }));

  test("hold the version, then every step and evaluation", async () => {
    const board = new TensorBoard(dir);
    const rest = { epoch: 0, totalSteps: 300, gradNorm: 2, lr: 0.5, applied: true, rows: 4, rate: 1 };
    for (let step = 1; step <= 300; step++) await board.add({ type: "step", step, loss: 1 / step, ...rest });
    await board.add({ type: "evaluation", epoch: 0, step: 300, metrics: { accuracy: 0.75 }, best: true });
    await board.flush();
    const [file] = await readdir(dir);
    assert.match(file!, /^events\.out\.tfevents\.\d+\./);
    const events = readEvents(await readFile(join(dir, file!)));
    assert.equal(events.length, 302);
    assert.deepEqual(events[0], { step: 0, version: "brain.Event:2", values: {} });
    assert.deepEqual(events[200], {
      step: 200,
      values: { "train/loss": Math.fround(1 / 200), "train/gradNorm": 2, "train/lr": 0.5 },
    });
    assert.deepEqual(events[301], { step: 300, values: { "evaluation/accuracy": 0.75 } });
  });

  test("are checked by CRC-32C", () => {
    // The check value of the Castagnoli polynomial.
    assert.equal(crc32c(Buffer.from("123456789")), 0xe3069283);
  });
});
