/** LoRA adapters that peft writes, in graphs of ours: merged and as inputs, the answers are those of peft. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { Engine, type Tensor } from "tenon";
import type { OnnxModel } from "tenon/onnx";
import {
  adapterAsInputs,
  architectureFromFolder,
  materialize,
  mergeAdapter,
  openAdapter,
  openWeights,
} from "tenon/torch";
import { runPython } from "./onnx-cases.js";

const script = resolve(import.meta.dirname, "../../../test/python/adapters.py");

interface Case {
  readonly name: string;
  readonly output: string;
  /** Whether the adapter can be an input. */
  readonly inputs: boolean;
}

describe("adapters", () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-adapters-"));
  let engine: Engine;
  before(async () => {
    engine = await Engine.open({ cache: false, lanes: 1 });
  });
  after(async () => {
    await engine.close();
    rmSync(folder, { recursive: true });
  });

  test("answers are those of peft", async (t) => {
    const cases = JSON.parse(runPython([script, folder])) as Case[] | null;
    if (cases === null) {
      t.skip("peft is not installed in the environment of TENON_PYTHON");
      return;
    }
    assert.ok(cases.length > 0);
    for (const { name, output, inputs } of cases) {
      await t.test(name, async () => {
        const at = join(folder, name);
        const { tensors } = await openWeights(join(at, "cases.safetensors"));
        const given = Object.fromEntries(
          [...tensors]
            .filter(([key]) => key.startsWith("in."))
            .map(([key, ref]) => [key.slice(3), materialize(ref)]),
        );
        const expected = numbers(materialize(tensors.get(`out.${output}`)!));
        const base = await architectureFromFolder(join(at, "base"));
        const adapter = await openAdapter(join(at, "adapter"));
        const plain = await answer(engine, base, given, output);
        assert.ok(relative(plain, expected) > 1e-3, "the adapter makes a difference");
        const merged = await answer(engine, mergeAdapter(base, adapter), given, output);
        assert.ok(relative(merged, expected) < 2e-5, `merged: ${relative(merged, expected)}`);
        if (!inputs) {
          assert.throws(() => adapterAsInputs(base, adapter), { code: "MODEL_UNSUPPORTED" });
          return;
        }
        const beside = adapterAsInputs(base, adapter);
        const run = await answer(engine, beside.model, { ...given, ...beside.inputs }, output);
        assert.ok(relative(run, expected) < 2e-5, `as inputs: ${relative(run, expected)}`);
      });
    }
  });
});

async function answer(
  engine: Engine,
  graph: OnnxModel,
  inputs: Readonly<Record<string, Tensor>>,
  output: string,
): Promise<number[]> {
  const model = await engine.load(graph, { name: "model", calibrate: false });
  try {
    return numbers((await model.run(inputs))[output]!);
  } finally {
    await model.unload();
  }
}

function relative(actual: readonly number[], expected: readonly number[]): number {
  const largest = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((value, i) => Math.abs(value - actual[i]!))) / largest;
}

function numbers(tensor: Tensor): number[] {
  return (tensor.toArray() as unknown[]).flat(Number.POSITIVE_INFINITY).map(Number);
}
