/** Checkpoints and programs that PyTorch writes now, against what PyTorch says they hold. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { isTenonError } from "tenon/base";
import { materialize, openWeights, readProgram, type TensorRef } from "tenon/torch";
import { runPython } from "./onnx-cases.js";

const script = resolve(import.meta.dirname, "../../../test/python/torch_files.py");

type Rows = Readonly<Record<string, readonly [dtype: string, shape: readonly number[], sha256: string]>>;

interface Manifest {
  readonly files: Readonly<Record<string, Rows>>;
  readonly refused: readonly string[];
  readonly program: { readonly weights: Rows; readonly targets: readonly string[] };
}

/** PyTorch's names without their underscores are ours. */
const dtypeOf = (name: string): string => name.replace("e8m0fnu", "e8m0").replace("8_e", "8e");

function compare(tensors: ReadonlyMap<string, TensorRef>, rows: Rows, file: string): void {
  assert.deepEqual([...tensors.keys()].sort(), Object.keys(rows).sort(), file);
  for (const [name, [dtype, shape, sha256]] of Object.entries(rows)) {
    const tensor = materialize(tensors.get(name)!);
    assert.deepEqual([tensor.dtype, tensor.shape], [dtypeOf(dtype), shape], `${file} ${name}`);
    const found = createHash("sha256").update(tensor.bytes).digest("hex");
    assert.equal(found, sha256, `${file} ${name}`);
  }
}

test("what PyTorch saves is what is read", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-torch-files-"));
  try {
    const manifest = JSON.parse(runPython([script, folder])) as Manifest | null;
    if (manifest === null) {
      t.skip("PyTorch is not installed in the environment of TENON_PYTHON");
      return;
    }
    for (const [file, rows] of Object.entries(manifest.files))
      compare((await openWeights(join(folder, file), { verify: file.includes(".2.") })).tensors, rows, file);
    for (const file of manifest.refused)
      await assert.rejects(openWeights(join(folder, file)), (error) => isTenonError(error), file);
    const program = await readProgram(join(folder, "net.pt2"), { verify: true });
    compare(program.weights, manifest.program.weights, "net.pt2");
    assert.deepEqual(
      program.graph.nodes.map(({ target }) => target),
      manifest.program.targets,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
