/** Bytes turned at random, in every format: an error of ours, or tensors within bounds. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { isTenonError } from "tenon/base";
import { materialize, openWeights, readProgram } from "tenon/torch";
import { checkpoint, op, pickle, pickledTensor } from "../support/archives.js";
import { seededRandom } from "../support/random.js";
import { counted, legacy, legacyTensor, plain, programText, pt2, storage } from "../support/weight-files.js";

suite("bytes turned at random", () => {
  const data = pickle(
    op.dict({ a: plain, b: pickledTensor({ count: 6, offset: 1, shape: [2, 2], strides: [1, 2] }) }),
  );
  const sources: Readonly<Record<string, (mutate: (bytes: Uint8Array) => Uint8Array) => Uint8Array>> = {
    "a checkpoint": (mutate) => mutate(checkpoint(data, { 0: storage })),
    "a pickle with a right checksum": (mutate) => checkpoint(mutate(data), { 0: storage }),
    "a checkpoint of the old format": (mutate) =>
      mutate(legacy(op.dict({ a: legacyTensor }), ["0"], [counted(storage)])),
    "an exported program": (mutate) => mutate(pt2(programText)),
    "a program's JSON with a right checksum": (mutate) =>
      pt2(Buffer.from(mutate(Buffer.from(programText))).toString("latin1")),
  };
  for (const [name, make] of Object.entries(sources)) {
    test(`${name}: an error of ours, or tensors within bounds`, async () => {
      const random = seededRandom(5);
      for (let round = 0; round < 300; round++) {
        const file = make((bytes) => turned(bytes, random));
        for (const open of [
          openWeights,
          async (input: Uint8Array) => ({ tensors: (await readProgram(input)).weights }),
        ]) {
          try {
            for (const ref of (await open(file)).tensors.values()) materialize(ref, { maxBytes: 2 ** 20 });
          } catch (error) {
            assert.ok(isTenonError(error), `round ${round}: ${(error as Error).stack}`);
          }
        }
      }
    });
  }
});

/** A few bytes changed, cut, doubled or put in. */
function turned(bytes: Uint8Array, random: () => number): Uint8Array {
  let out = Uint8Array.from(bytes);
  const edits = 1 + Math.floor(random() * 3);
  for (let i = 0; i < edits; i++) {
    const at = Math.floor(random() * out.length);
    const value = Math.floor(random() * 256);
    const kind = random();
    if (kind < 0.6) out[at] = value;
    else if (kind < 0.75) out[at] = out[at]! ^ (1 << (value % 8));
    else if (kind < 0.85) out = out.slice(0, at);
    else if (kind < 0.95) out = Uint8Array.from([...out.slice(0, at), value, ...out.slice(at)]);
    else out = Uint8Array.from([...out.slice(0, at), ...out.slice(Math.max(0, at - 16))]);
  }
  return out;
}
