/** The shared exported programs, fine-tuned: every weight is found, and the loss moves along the gradient as it says. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, test } from "node:test";
import { readNpy, type Tensor, tensorFromStorage } from "tenon/tensor";
import { programToModel, readProgram, readSafetensors } from "tenon/torch";
import { finetune, mse, sgd } from "tenon/train";

const shared = resolve(import.meta.dirname, "../../../../shared/torch/torch2.13");
const MODELS: readonly { readonly name: string; readonly unused?: readonly RegExp[] }[] = [
  { name: "mlp" },
  { name: "cnn" },
  { name: "gru" },
  { name: "tenc" },
  // Its first output does not go through the pooler.
  { name: "bertlike", unused: [/^pooler/] },
  { name: "gptlike" },
];
const STEP = 2e-3;

describe("exported programs as models that train", { concurrency: false }, () => {
  for (const { name, unused = [] } of MODELS) {
    test(name, async () => {
      const folder = join(shared, name);
      const npy = (file: string): Tensor => readNpy(readFileSync(join(folder, file)));
      const onnx = programToModel(await readProgram(join(folder, "model.pt2")));
      const all = await finetune(onnx);
      const { tensors } = await readSafetensors(join(folder, "state.safetensors"));
      const weights = [...tensors.values()]
        .filter((ref) => ref.dtype === "float32" && !ref.name.includes("running_"))
        .map((ref) => ref.name);
      assert.deepEqual([...all.parameters].sort(), weights.sort());

      const model = unused.length === 0 ? all : await finetune(onnx, { freeze: unused });
      const output = onnx.graph.outputs[0]!.name;
      const expected = npy("case0.out0.npy");
      const target = Float32Array.from(expected.data as ArrayLike<number>, (value, i) => value + Math.sin(i));
      const inputs = onnx.graph.inputs.map((input, i) => [input.name, npy(`case0.in${i}.npy`)] as const);
      const batch = {
        ...Object.fromEntries(inputs),
        target: tensorFromStorage("float32", expected.shape, target),
      };
      await using step = await model.compile({
        loss: (_, out, given) => mse(out[output]!, given.target!),
        optimizer: sgd({ lr: 0 }),
      });
      const { gradNorm } = await step.run(batch);
      const directions = step.memory.names.map(
        (of) => [of, step.memory.gradient(of).map((g) => g / gradNorm)] as const,
      );
      const at = async (distance: number): Promise<number> => {
        for (const [of, direction] of directions) {
          const values = step.memory.parameter(of);
          direction.forEach((d, i) => {
            values[i]! += distance * d;
          });
        }
        return (await step.evaluate(batch)).loss;
      };
      const up = await at(STEP);
      const down = await at(-2 * STEP);
      const slope = (up - down) / (2 * STEP);
      assert.ok(Math.abs(slope - gradNorm) < 0.01 * gradNorm, `${slope} ${gradNorm}`);
    });
  }
});
