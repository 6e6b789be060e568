/** safetensors against the reference package: its files are read, ours are read by it and equal its own byte for byte. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { byteLength, materialize, openWeights, saveSafetensors } from "tenon/torch";
import { runPython } from "./onnx-cases.js";

const script = resolve(import.meta.dirname, "../../../test/python/safetensors_files.py");

type Row = readonly [dtype: string, shape: readonly number[], sha256: string];

test("both read both", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-safetensors-"));
  try {
    runPython([script, "write", folder]);
    const reference = join(folder, "reference.safetensors");
    const { tensors, metadata } = await openWeights(reference);
    const ours = join(folder, "ours.safetensors");
    await saveSafetensors(ours, new Map([...tensors].reverse()), { metadata });
    assert.deepEqual(readFileSync(ours), readFileSync(reference));
    const loaded = new Map([...tensors].map(([name, ref]) => [name, materialize(ref)]));
    const again = join(folder, "again.safetensors");
    await saveSafetensors(again, loaded, { metadata });
    const printed = JSON.parse(runPython([script, "read", reference, again])) as Record<string, Row>[];
    assert.deepEqual(printed[1], printed[0]);
    assert.equal(Object.keys(printed[0]!).length, tensors.size);
    for (const [name, [, shape, sha256]] of Object.entries(printed[0]!)) {
      const ref = tensors.get(name)!;
      assert.deepEqual(ref.shape, shape, name);
      const bytes = materialize(ref).bytes;
      assert.equal(bytes.length, byteLength(ref));
      assert.equal(createHash("sha256").update(bytes).digest("hex"), sha256, name);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
