/** Folders that transformers writes, as graphs of ours: the answers are those of transformers. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { Engine, type Tensor } from "tenon";
import { isTenonError } from "tenon/base";
import { architectureFromFolder, materialize, openWeights } from "tenon/torch";
import { runPython } from "./onnx-cases.js";

const script = resolve(import.meta.dirname, "../../../test/python/architectures.py");

interface Case {
  readonly name: string;
  readonly runs: number;
}

describe("architectures", () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-architectures-"));
  let engine: Engine;
  before(async () => {
    engine = await Engine.open({ cache: false, lanes: 1 });
  });
  after(async () => {
    await engine.close();
    rmSync(folder, { recursive: true });
  });

  test("answers are those of transformers", async (t) => {
    const only = (process.env.TENON_TEST_ARCHITECTURES ?? "").split(",").filter(Boolean);
    const cases = JSON.parse(runPython([script, folder, ...only])) as Case[] | null;
    if (cases === null) {
      t.skip("transformers is not installed in the environment of TENON_PYTHON");
      return;
    }
    assert.ok(cases.length > 0);
    for (const { name, runs } of cases)
      await t.test(name, async () => compare(engine, join(folder, name), runs));
  });

  test("a field of a config is used or refused, never passed over", async (t) => {
    const every = process.env.TENON_TEST_FIELDS ?? "25";
    const only = (process.env.TENON_TEST_ARCHITECTURES ?? "").split(",").filter(Boolean);
    const cases = JSON.parse(runPython([script, "--fields", every, folder, ...only])) as Case[] | null;
    if (cases === null) {
      t.skip("transformers is not installed in the environment of TENON_PYTHON");
      return;
    }
    const wrong: string[] = [];
    let equal = 0;
    for (const { name, runs } of cases) {
      try {
        await compare(engine, join(folder, name), runs);
        equal++;
      } catch (error) {
        if (!isTenonError(error)) wrong.push(`${name}: ${(error as Error).message}`);
      }
    }
    assert.deepEqual(wrong, []);
    assert.ok(equal > cases.length / 2);
    t.diagnostic(`${cases.length} fields, ${equal} equal, the others refused`);
  });
});

async function compare(engine: Engine, folder: string, runs: number): Promise<void> {
  const graph = await architectureFromFolder(folder, { kvCache: folder.endsWith("-cache") });
  const model = await engine.load(graph, { name: "model", calibrate: false, allowZero: true });
  try {
    const { tensors } = await openWeights(join(folder, "cases.safetensors"));
    for (let run = 0; run < runs; run++) {
      const named = (kind: string): Record<string, Tensor> =>
        Object.fromEntries(
          [...tensors]
            .filter(([name]) => name.startsWith(`${run}.${kind}.`))
            .map(([name, ref]) => [name.slice(`${run}.${kind}.`.length), materialize(ref)]),
        );
      const inputs = named("in");
      const outputs = await model.run(inputs);
      for (const [name, expected] of Object.entries(named("out"))) {
        const actual = outputs[name];
        assert.ok(actual !== undefined, `${name} is an output`);
        const error = relativeError(actual, expected, inputs.attention_mask);
        assert.ok(error < 2e-5, `run ${run}, ${name}: relative error ${error}`);
      }
    }
  } finally {
    await model.unload();
  }
}

/** Largest difference over largest value, where the mask says that there are tokens. */
function relativeError(actual: Tensor, expected: Tensor, mask: Tensor | undefined): number {
  assert.deepEqual(actual.shape, expected.shape);
  const [a, b] = [numbers(actual), numbers(expected)];
  const positions = mask !== undefined && expected.shape[1] === mask.shape[1] && expected.rank > 1;
  const seen = positions ? numbers(mask) : undefined;
  const width = seen === undefined ? 1 : b.length / seen.length;
  let difference = 0;
  let largest = 0;
  b.forEach((value, index) => {
    if (seen !== undefined && seen[Math.floor(index / width)] === 0) return;
    difference = Math.max(
      difference,
      Number.isNaN(a[index]!) ? Number.POSITIVE_INFINITY : Math.abs(a[index]! - value),
    );
    largest = Math.max(largest, Math.abs(value));
  });
  return difference / largest;
}

function numbers(tensor: Tensor): number[] {
  return (tensor.toArray() as unknown[]).flat(Number.POSITIVE_INFINITY).map(Number);
}
