/** Optimisers: kernel, plain loop and ONNX nodes give the same bits, over many steps and odd values. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { graph, writeModel } from "../../onnx/index.js";
import { Engine } from "../../runtime/index.js";
import { tensorFromStorage } from "../../tensor/index.js";
import { FlatMemory } from "../memory.js";
import { arrayNames, scalarNames } from "./fused.js";
import { updateNodes } from "./nodes.js";
import { adagrad, adam, adamw, lion, type Optimizer, rmsprop, sgd } from "./rows.js";

const OPTIMIZERS: readonly Optimizer[] = [
  sgd({ lr: 0.1 }),
  sgd({ lr: 0.1, momentum: 0.9, weightDecay: 0.01 }),
  sgd({ lr: 0.1, momentum: 0.9, nesterov: true }),
  adam({ weightDecay: 0.1 }),
  adamw(),
  lion({ weightDecay: 0.1 }),
  rmsprop(),
  rmsprop({ momentum: 0.5 }),
  adagrad({ lrDecay: 0.01, initialAccumulator: 0.1 }),
];

let seed = 7;
function random(): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 31 - 1;
}

const PARAMETERS = [
  { name: "a", shape: [37, 11] },
  { name: "b", shape: [3], group: 1 },
  { name: "c", shape: [2000] },
];
const GROUPS = [{}, { weightDecay: 0, lrScale: 0.5 }];

function bits(x: Float32Array): Uint32Array {
  return new Uint32Array(x.slice().buffer);
}

function fillGradients(...memories: readonly FlatMemory[]): void {
  for (const { name } of PARAMETERS) {
    const first = memories[0]!.gradient(name);
    for (let i = 0; i < first.length; i++) first[i] = i % 97 === 0 ? 1e-42 : random() * 10 ** (random() * 4);
    for (const memory of memories) memory.gradient(name).set(first);
  }
}

describe("optimisers", () => {
  for (const optimizer of OPTIMIZERS) {
    test(`${optimizer.name} (${optimizer.state.join(", ")}): kernel and plain loop agree to the bit`, () => {
      const fast = new FlatMemory(PARAMETERS, optimizer, { groups: GROUPS });
      const plain = new FlatMemory(PARAMETERS, optimizer, { groups: GROUPS, simd: false });
      for (const { name } of PARAMETERS) {
        fast.parameter(name).forEach((_, i, all) => void (all[i] = random()));
        plain.parameter(name).set(fast.parameter(name));
      }
      for (let step = 1; step <= 20; step++) {
        fillGradients(fast, plain);
        const options = { step, clipNorm: 50 };
        assert.deepEqual(fast.update(options), plain.update(options));
      }
      for (const section of ["p", ...optimizer.state])
        assert.deepEqual(bits(fast.section(section)), bits(plain.section(section)), section);
      assert.ok(fast.section("p").every(Number.isFinite));
    });

    test(`${optimizer.name} (${optimizer.state.join(", ")}): ONNX nodes agree to the bit`, async () => {
      const size = 1024;
      const arrays = arrayNames(optimizer);
      const g = graph();
      const values = Object.fromEntries([
        ...arrays.map((name) => [name, g.input(name, "float32", [size])] as const),
        ...scalarNames(optimizer).map((name) => [name, g.input(name, "float32", [])] as const),
      ]);
      for (const [name, value] of Object.entries(updateNodes(g, optimizer, values)))
        g.output(value, `${name}_next`);
      await using engine = await Engine.open();
      const model = await engine.load(writeModel(g.model()));
      const memory = new FlatMemory([{ name: "x", shape: [size] }], optimizer);
      memory.parameter("x").forEach((_, i, all) => void (all[i] = random()));
      for (let step = 1; step <= 3; step++) {
        memory.gradient("x").forEach((_, i, all) => void (all[i] = random()));
        const { lr, weightDecay } = optimizer;
        const scalars = { ...optimizer.scalars({ step, lr, weightDecay }), scale: 1 };
        const given = Object.fromEntries([
          ...arrays.map((name) => {
            const section = name === "g" ? "g0" : name;
            return [name, tensorFromStorage("float32", [size], memory.section(section).slice())] as const;
          }),
          ...scalarNames(optimizer).map((name) => {
            const value = (scalars as Record<string, number>)[name]!;
            return [name, tensorFromStorage("float32", [], Float32Array.of(value))] as const;
          }),
        ]);
        const results = await model.run(given);
        memory.update({ step });
        for (const name of Object.keys(optimizer.update)) {
          const nodes = results[`${name}_next`]!.storage as Float32Array;
          assert.deepEqual(
            bits(memory.section(name)),
            bits(nodes.subarray(0, size)),
            `${name}, step ${step}`,
          );
        }
      }
    });
  }

  test("the sign of NaN is NaN in all three forms", async () => {
    const values = [Number.NaN, -2, 3, 0];
    const g = graph();
    const names = Object.fromEntries(["p", "g", "m"].map((name) => [name, g.input(name, "float32", [4])]));
    const optimizer = lion({ lr: 0.5 });
    for (const name of scalarNames(optimizer)) names[name] = g.input(name, "float32", []);
    g.output(updateNodes(g, optimizer, names).p!, "next");
    await using engine = await Engine.open();
    const model = await engine.load(writeModel(g.model()));
    const scalars = { ...optimizer.scalars({ step: 1, lr: 0.5, weightDecay: 0 }), scale: 1 };
    const vector = (array: Float32Array<ArrayBuffer>) => tensorFromStorage("float32", [4], array);
    const results = await model.run({
      p: vector(new Float32Array(4)),
      g: vector(new Float32Array(4)),
      m: vector(Float32Array.from(values)),
      ...Object.fromEntries(
        Object.entries(scalars)
          .filter(([name]) => name in names)
          .map(([name, value]) => [name, tensorFromStorage("float32", [], Float32Array.of(value))]),
      ),
    });
    const expected = [Number.NaN, 0.5, -0.5, 0];
    assert.deepEqual([...(results.next!.storage as Float32Array)].slice(0, 4), expected);
    for (const simd of [true, false]) {
      const memory = new FlatMemory([{ name: "x", shape: [4] }], optimizer, { simd });
      memory.state("x", "m").set(values);
      memory.update({ step: 1 });
      assert.deepEqual([...memory.parameter("x")], expected);
    }
  });

  test("a gradient that is not finite changes nothing and is named", () => {
    const memory = new FlatMemory(PARAMETERS, adamw(), { groups: GROUPS });
    memory.gradient("c")[5] = Number.POSITIVE_INFINITY;
    assert.equal(memory.update({ step: 1 }).applied, false);
    assert.deepEqual(memory.notFinite(), ["c"]);
    assert.ok(memory.section("m").every((x) => x === 0));
    const summed = new FlatMemory(PARAMETERS, adamw(), { groups: GROUPS, accumulate: true });
    summed.state("b", "sum")[0] = Number.NaN;
    assert.equal(summed.update({ step: 1, accumulated: true }).applied, false);
    assert.deepEqual([summed.notFinite(), summed.notFinite("sum")], [[], ["b"]]);
  });

  test("lanes are summed in order, batches accumulated, parameters averaged; the same bits without SIMD", () => {
    const memories = [true, false].map(
      (simd) =>
        new FlatMemory(PARAMETERS, sgd(), {
          groups: GROUPS,
          lanes: 3,
          accumulate: true,
          average: true,
          simd,
        }),
    );
    for (let lane = 0; lane < 3; lane++) {
      const values = Float32Array.from({ length: 2000 }, random);
      for (const memory of memories) memory.gradient("c", lane).set(values);
    }
    const one = memories[0]!;
    const [a, b, c] = [0, 1, 2].map((lane) => one.gradient("c", lane)[17]!);
    const f = Math.fround;
    const expected = f(f(f(a! * f(0.5)) + f(b! * f(0.25))) + f(c! * f(0.25)));
    for (const memory of memories) {
      memory.sumLanes([0.5, 0.25, 0.25]);
      memory.accumulate(0.5, true);
      memory.accumulate(0.5, false);
      memory.parameter("c").fill(1);
      memory.moveAverage(0.9);
    }
    assert.equal(one.gradient("c")[17], expected);
    assert.equal(one.state("c", "sum")[17], expected);
    assert.equal(one.state("c", "average")[0], f(f(0.1)));
    for (const section of ["g0", "sum", "average"])
      assert.deepEqual(bits(one.section(section)), bits(memories[1]!.section(section)), section);
  });

  test("wrong options are refused by name", () => {
    assert.throws(() => adamw({ beta1: 1 }), /beta1 1/);
    assert.throws(() => sgd({ nesterov: true }), /momentum/);
    assert.throws(() => new FlatMemory([{ name: "a", shape: [1], group: 2 }], sgd()), /group 2/);
    const memory = new FlatMemory([{ name: "a", shape: [1] }], adamw(), { lanes: 2 });
    assert.throws(() => memory.state("a", "momentum"), /section momentum/);
    assert.throws(() => new FlatMemory([{ name: "a", shape: [2, -1] }], sgd()), /shape of a is \[2, -1\]/);
    assert.throws(() => new FlatMemory([], sgd(), { lanes: 0 }), /lanes is 0/);
    assert.throws(() => new FlatMemory([], sgd(), { groups: [{ lrScale: -1 }] }), /lrScale is -1/);
    assert.throws(() => memory.sumLanes([1]), /weights is 1 numbers; expected: 2/);
    memory.gradient("a").fill(1);
    for (const wrong of [{ step: 0 }, { step: 1, lr: Number.NaN }, { step: 1, clipNorm: -1 }])
      assert.throws(() => memory.update(wrong), { code: "USAGE" });
    assert.equal(memory.parameter("a")[0], 0);
  });
});
