/**
 * Event files of TensorBoard: records of a length, its checksum, a message `Event`, its checksum (the TFRecord format).
 * Checksums are CRC-32C, masked as TensorFlow does.
 */
import { open } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import type { FitEvent } from "./events.js";

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = (rest >>> 1) ^ (rest & 1 ? 0x82f63b78 : 0);
  return rest;
});

/** CRC-32C (Castagnoli). */
export function crc32c(bytes: Uint8Array): number {
  let rest = 0xffffffff;
  for (const byte of bytes) rest = (rest >>> 8) ^ TABLE[(rest ^ byte) & 255]!;
  return (rest ^ 0xffffffff) >>> 0;
}

/** Rotated and moved, so that the checksum of data that holds a checksum is not a special one. */
const masked = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;

function record(message: Buffer): Buffer {
  const bytes = Buffer.alloc(message.length + 16);
  bytes.writeBigUInt64LE(BigInt(message.length), 0);
  bytes.writeUInt32LE(masked(crc32c(bytes.subarray(0, 8))), 8);
  message.copy(bytes, 12);
  bytes.writeUInt32LE(masked(crc32c(message)), 12 + message.length);
  return bytes;
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) | 128);
  }
}

const field = (number: number, wire: number): number[] => varint(number * 8 + wire);
const bytesField = (number: number, value: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([...field(number, 2), ...varint(value.length)]), value]);

/** Event { wall_time: 1, step: 2, and one more }. */
function event(seconds: number, step: number, rest: Buffer): Buffer {
  const time = Buffer.alloc(8);
  time.writeDoubleLE(seconds);
  const head = [Buffer.from(field(1, 1)), time];
  if (step > 0) head.push(Buffer.from([...field(2, 0), ...varint(step)]));
  return Buffer.concat([...head, rest]);
}

/** Summary { value: 1 { tag: 1, simple_value: 2 } … }. */
function summary(values: Readonly<Record<string, number>>): Buffer {
  const each = Object.entries(values).map(([tag, value]) => {
    const number = Buffer.alloc(4);
    number.writeFloatLE(value);
    const inner = [bytesField(1, Buffer.from(tag)), Buffer.from(field(2, 5)), number];
    return bytesField(1, Buffer.concat(inner));
  });
  return bytesField(5, Buffer.concat(each));
}

function curvesOf(each: FitEvent): Readonly<Record<string, number>> {
  if (each.type === "step")
    return { "train/loss": each.loss, "train/gradNorm": each.gradNorm, "train/lr": each.lr };
  if (each.type === "epoch") return { "train/epochLoss": each.loss };
  if (each.type !== "evaluation") return {};
  return Object.fromEntries(
    Object.entries(each.metrics).map(([name, value]) => [`evaluation/${name}`, value]),
  );
}

const WAITING = 100;

/** Curves of a run in a file of their own; a run that is resumed adds another file to the folder. */
export class TensorBoard {
  readonly #path: string;
  #records: Buffer[] = [];
  #made = false;

  constructor(dir: string) {
    const time = Math.floor(Date.now() / 1000);
    this.#path = join(dir, `events.out.tfevents.${time}.${hostname()}.${process.pid}`);
  }

  async add(each: FitEvent): Promise<void> {
    const values = curvesOf(each);
    if (each.type === "checkpoint" || Object.keys(values).length === 0) return;
    this.#records.push(record(event(Date.now() / 1000, each.step, summary(values))));
    if (this.#records.length >= WAITING) await this.flush();
  }

  async flush(): Promise<void> {
    const records = this.#records.splice(0);
    if (records.length === 0) return;
    const version = record(event(Date.now() / 1000, 0, bytesField(3, Buffer.from("brain.Event:2"))));
    const file = await open(this.#path, "a");
    try {
      await file.appendFile(Buffer.concat(this.#made ? records : [version, ...records]));
    } finally {
      await file.close();
    }
    this.#made = true;
  }
}
