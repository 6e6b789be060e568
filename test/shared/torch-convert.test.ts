/** The shared exported programs, converted and run: outputs equal PyTorch's at every stored batch size and length. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { Engine, type Model } from "tenon/runtime";
import { readNpy, type Tensor, tensorFromStorage } from "tenon/tensor";
import { convertProgram, programToModel } from "tenon/torch";
import { formulaInput, formulaWeight } from "../support/formula-weights.js";
import { type GraphFixture, graphFixture, type WeightMaker } from "../support/graph-fixture.js";

const shared = resolve(import.meta.dirname, "../../../../shared/torch");
const graphs = join(shared, "graph");
const models = readdirSync(join(shared, "torch2.13"), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

/** max |a − b| / max |b|; equal infinities and NaN count as equal. */
function difference(actual: Tensor, expected: Tensor): number {
  assert.deepEqual(actual.shape, expected.shape);
  const [a, b] = [actual, expected].map((x) =>
    Array.from(x.contiguous().data as ArrayLike<number | bigint>, Number),
  );
  let [apart, largest] = [0, 0];
  for (let i = 0; i < a!.length; i++) {
    if (Object.is(a![i], b![i])) continue;
    const gap = Math.abs(a![i]! - b![i]!);
    apart = Math.max(apart, Number.isNaN(gap) ? Number.POSITIVE_INFINITY : gap);
    largest = Math.max(largest, Math.abs(b![i]!));
  }
  return apart === 0 ? 0 : apart / Math.max(largest, 1e-12);
}

async function compare(model: Model, inputs: readonly Tensor[], outputs: readonly Tensor[]): Promise<void> {
  const names = model.signature.inputs.map(({ name }) => name);
  const result = await model.run(Object.fromEntries(names.map((name, i) => [name, inputs[i]!])));
  model.signature.outputs.forEach(({ name }, i) => {
    const apart = difference(result[name]!, outputs[i]!);
    assert.ok(apart < 2e-4, `${name}: ${apart}`);
  });
}

/** Largest total of weight values that is filled in by default; TENON_ALL_GRAPHS takes all. */
const MAX_VALUES = process.env.TENON_ALL_GRAPHS ? Number.POSITIVE_INFINITY : 12e6;

/** Weights by the formula, up to a total of values. */
function filled(): WeightMaker {
  let total = 0;
  return (name, shape) => {
    total += shape.reduce((product, size) => product * size, 1);
    return total > MAX_VALUES ? undefined : new Uint8Array(formulaWeight(name, shape).buffer as ArrayBuffer);
  };
}

function inputsOf({ program, values }: GraphFixture, c: number): Tensor[] {
  return program.inputs.flatMap((spec) => {
    if (spec.kind !== "userInput" || spec.arg.kind !== "tensor") return [];
    const { name } = spec.arg;
    const stored = values[`in${c}/${name}`];
    if (stored !== undefined) return [stored];
    const shape = Array.from(values[`fshape${c}/${name}`]!.data as ArrayLike<bigint>, Number);
    const count = shape.reduce((product, size) => product * size, 1);
    return [tensorFromStorage("float32", shape, formulaInput(c, name, count))];
  });
}

describe("graphs of real architectures, converted", { concurrency: false }, () => {
  const names = readdirSync(graphs)
    .filter((file) => file.endsWith(".graph.json.gz"))
    .map((file) => file.replace(".graph.json.gz", ""));
  for (const name of names) {
    test(name, async (t) => {
      const fixture = graphFixture(graphs, name, filled());
      if (fixture === undefined) {
        t.skip("large: runs with TENON_ALL_GRAPHS=1");
        return;
      }
      await using engine = await Engine.open({ cache: false });
      const model = await engine.load(programToModel(fixture.program), { name: "m", calibrate: false });
      for (const c of [0, 1]) {
        const outputs = model.signature.outputs.map((_, k) => fixture.values[`out${c}/${k}`]!);
        await compare(model, inputsOf(fixture, c), outputs);
      }
    });
  }
});

describe("exported programs, converted", () => {
  let engine: Engine;
  before(async () => {
    engine = await Engine.open({ cache: false });
  });
  after(async () => {
    await engine.close();
  });

  for (const version of ["torch2.6", "torch2.13"]) {
    for (const name of models) {
      test(`${name}, ${version}`, async () => {
        const source = join(shared, version, name);
        const converted = await convertProgram(join(source, "model.pt2"));
        const model = await engine.load(converted, {
          name: `${name}_${version}`,
          calibrate: false,
        });
        for (const c of [0, 1]) {
          const load = (kind: string): Tensor[] =>
            readdirSync(source)
              .filter((file) => file.startsWith(`case${c}.${kind}`))
              .sort()
              .map((file) => readNpy(readFileSync(join(source, file))));
          await compare(model, load("in"), load("out"));
        }
      });
    }
  }
});
