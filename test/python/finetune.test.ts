/** Fine-tuning held against PyTorch: a BERT that it exported has its gradients, and peft reads what LoRA learned. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Tensor } from "tenon/tensor";
import { materialize, readSafetensors } from "tenon/torch";
import { adamw, finetune, type LossFunction, mse, sgd } from "tenon/train";

const script = resolve(import.meta.dirname, "../../../test/python/finetune.py");
const loss: LossFunction = (_, out, batch) => mse(out.hidden!, batch.target!);
const floats = (value: Tensor): Float32Array => value.contiguous().data as unknown as Float32Array;

/** Largest difference over the largest expected value; what is 0 but for rounding (biases of keys) counts as 0.01. */
function apart(found: Float32Array, expected: Tensor): number {
  const values = floats(expected);
  assert.equal(found.length, values.length);
  const most = values.reduce((max, value) => Math.max(max, Math.abs(value)), 1e-2);
  return found.reduce((max, value, i) => Math.max(max, Math.abs(value - values[i]!)), 0) / most;
}

describe("fine-tuning a BERT of PyTorch", { concurrency: false }, () => {
  let folder = "";
  let made: { readonly loss: number; readonly parameters: number };
  const python = (mode: string): string =>
    execFileSync(process.env.TENON_PYTHON!, [script, mode, folder], { encoding: "utf8" });
  const load = async (file: string): Promise<Map<string, Tensor>> => {
    const { tensors } = await readSafetensors(join(folder, file));
    return new Map([...tensors].map(([name, ref]) => [name, materialize(ref)]));
  };
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "tenon-bert-"));
    made = JSON.parse(python("make").trim().split("\n").at(-1)!) as typeof made;
  });
  after(() => rm(folder, { recursive: true, force: true }));

  for (const opset of [14, 17]) {
    test(`opset ${opset}: all weights, equal ones apart, have the gradients of float64`, async () => {
      const gradients = await load("gradients.safetensors");
      const names = join(folder, "model.safetensors");
      const model = await finetune(join(folder, `bert${opset}.onnx`), { names });
      assert.equal(model.parameters.length, made.parameters);
      await using step = await model.compile({ loss, optimizer: sgd({ lr: 0 }) });
      const result = await step.run(Object.fromEntries(await load("batch.safetensors")));
      assert.ok(Math.abs(result.loss - made.loss) < 1e-5, `${result.loss} ${made.loss}`);
      for (const name of model.parameters) {
        // Exported names have the module's prefix, parted ones an ending; MatMul's weights lie transposed.
        const expected = gradients.get(name.replace(/^bert\./, "").replace(/_value$/, ""));
        assert.ok(expected !== undefined, name);
        const found = step.memory.gradient(name);
        const forms = expected.rank === 2 ? [expected, expected.transpose()] : [expected];
        const error = Math.min(...forms.map((form) => apart(found, form)));
        assert.ok(error < 1e-5, `${name}: ${error}`);
      }
    });
  }

  test("an adapter trained here is what peft makes of it", async () => {
    const names = join(folder, "model.safetensors");
    const lora = { rank: 3, alpha: 6, match: /query|value|intermediate/ };
    const model = await finetune(join(folder, "bert17.onnx"), { names, lora, seed: 5 });
    assert.equal(model.parameters.length, 2 * 3 * 2);
    await using step = await model.compile({ loss, optimizer: adamw({ lr: 0.05 }) });
    const batch = Object.fromEntries(await load("batch.safetensors"));
    const first = await step.run(batch);
    for (let i = 0; i < 4; i++) await step.run(batch);
    const now = await step.evaluate(batch);
    assert.ok(now.loss < first.loss);
    await model.saveAdapter(join(folder, "adapter"));
    python("adapter");
    const { hidden } = Object.fromEntries(await load("hidden.safetensors"));
    assert.ok(apart(floats(now.outputs.hidden!), hidden!) < 1e-5);
  });
});
