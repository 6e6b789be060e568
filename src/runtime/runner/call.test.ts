/** RemoteCall: rows go in and come out over shared memory, and a header that lies is never believed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isTenonError } from "../../base/index.js";
import { tensor, tensorFromStorage } from "../../tensor/index.js";
import { BufferPool } from "../buffers.js";
import type { Batch } from "../lane.js";
import { OutputShapes } from "../output-shapes.js";
import type { Signature } from "../signature.js";
import { DESCRIPTOR, DESCRIPTOR_FLOATS, HEAD_FLOATS, RemoteCall } from "./call.js";
import { ChildCall } from "./child-run.js";
import { NO_CPU } from "./step-aside.js";

const signature: Signature = {
  inputs: [
    { name: "x", dtype: "float32", dims: ["N", 2] },
    { name: "s", dtype: "string", dims: ["N"] },
  ],
  outputs: [
    { name: "y", dtype: "float32", dims: ["N", 2] },
    { name: "t", dtype: "string", dims: ["N"] },
  ],
};
const member = (value: number, text: string) => ({
  inputs: [tensorFromStorage("float32", [1, 2], Float32Array.of(value, -value)), tensor([text])],
  rows: 1,
  into: undefined,
});
const batch = { members: [member(1, "é"), member(2, "")], rows: 2, outputs: [0, 1] } as unknown as Batch;
const region = { offset: 16_384, bytes: 16_384 };
const firstOutput = HEAD_FLOATS + 2 * DESCRIPTOR_FLOATS;

function written(): { memory: ArrayBuffer; call: RemoteCall; head: Float64Array; child: ChildCall } {
  const memory = new ArrayBuffer(65_536);
  const call = new RemoteCall(signature, batch, new OutputShapes(signature), new BufferPool(), memory);
  call.write(region, 3, 7, NO_CPU);
  const child = new ChildCall(memory, region.offset, () => signature);
  return { memory, call, head: new Float64Array(memory, region.offset, firstOutput + 24), child };
}

const echo = (child: ChildCall, streamed: Map<number, Uint8Array> = new Map()): void => {
  const { inputs } = child.batch.members[0]!;
  child.answer({ tensors: inputs, buffers: [], copiedBytes: 0 }, 0.5, (position, bytes) => {
    const before = streamed.get(position) ?? new Uint8Array(0);
    streamed.set(position, Buffer.concat([before, bytes]));
  });
};

test("a batch's rows arrive together, numbers and strings, and come back", () => {
  const { call, child } = written();
  assert.deepEqual([child.sequence, child.model, child.batch.rows], [7, 3, 2]);
  echo(child);
  const outputs = call.read(region, new Map());
  assert.deepEqual(
    outputs.tensors.map((each) => each.toArray()),
    [
      [
        [1, -1],
        [2, -2],
      ],
      ["é", ""],
    ],
  );
  assert.ok(outputs.runMs! >= 0.5 && outputs.runMs! < 1);
});

test("what does not fit the region is streamed", () => {
  const { call, head, child } = written();
  head[7] = 0; // no room for outputs
  const streamed = new Map<number, Uint8Array>();
  echo(child, streamed);
  assert.equal(streamed.size, 2);
  assert.deepEqual(call.read(region, streamed).tensors[1]!.toArray(), ["é", ""]);
});

const lies: readonly (readonly [string, number, number])[] = [
  ["a rank above eight", DESCRIPTOR.rank, 9],
  ["a negative rank", DESCRIPTOR.rank, -2],
  ["a dimension that is no number", DESCRIPTOR.dims, Number.NaN],
  ["a negative dimension", DESCRIPTOR.dims, -2],
  ["a fraction of a dimension", DESCRIPTOR.dims, 1.5],
  ["an enormous dimension", DESCRIPTOR.dims, 2 ** 60],
  ["another size than the shape's", DESCRIPTOR.dims, 3],
  ["an offset before the region", DESCRIPTOR.offset, 0],
  ["an offset into the header", DESCRIPTOR.offset, region.offset + 8],
  ["an offset behind the region", DESCRIPTOR.offset, region.offset + region.bytes - 4],
  ["an offset that is no number", DESCRIPTOR.offset, Number.NaN],
  ["bytes that never came over the socket", DESCRIPTOR.offset, -1],
  ["negative bytes", DESCRIPTOR.bytes, -16],
  ["endless bytes", DESCRIPTOR.bytes, Number.POSITIVE_INFINITY],
];
for (const [what, field, value] of lies) {
  test(`${what} is refused`, () => {
    const { call, head, child } = written();
    echo(child);
    head[firstOutput + field] = value;
    assert.throws(
      () => call.read(region, new Map()),
      (error: unknown) => isTenonError(error, "ENGINE_FAILED"),
    );
  });
}

test("offsets of strings that run backwards or beyond their bytes are refused", () => {
  for (const offsets of [
    [0, 5, 1],
    [0, 2, 4000],
  ]) {
    const { memory, call, head, child } = written();
    echo(child);
    const at = head[firstOutput + DESCRIPTOR_FLOATS + DESCRIPTOR.offset]!;
    new Uint32Array(memory, at, 3).set(offsets);
    assert.throws(
      () => call.read(region, new Map()),
      (error: unknown) => isTenonError(error, "ENGINE_FAILED"),
    );
  }
});
