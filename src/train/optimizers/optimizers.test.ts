/** Optimisers: kernel, plain loop and ONNX nodes give the same bits, over many steps and odd values. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { graph, writeModel } from "../../onnx/index.js";
import { Engine } from "../../runtime/index.js";
import { tensorFromStorage } from "../../tensor/index.js";
import { FlatMemory } from "../memory.js";
import { arrayNames } from "./expression.js";
import { muon } from "./muon.js";
import { plainNewtonSchulz } from "./newton-schulz.js";
import { updateNodes } from "./nodes.js";
import { type Optimizer, sharedScalars } from "./optimizer.js";
import { adagrad, adam, adamw, lamb, lion, rmsprop, sgd } from "./rows.js";

const OPTIMIZERS: readonly Optimizer[] = [
  sgd({ lr: 0.1 }),
  sgd({ lr: 0.1, momentum: 0.9, weightDecay: 0.01 }),
  sgd({ lr: 0.1, momentum: 0.9, nesterov: true }),
  adam({ weightDecay: 0.1 }),
  adamw(),
  lamb({ weightDecay: 0.1 }),
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
        ...sharedScalars(optimizer).map((name) => [name, g.input(name, "float32", [])] as const),
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
          ...sharedScalars(optimizer).map((name) => {
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
    for (const name of sharedScalars(optimizer)) names[name] = g.input(name, "float32", []);
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

  test("norms of gradients whose squares single precision does not hold", () => {
    for (const simd of [true, false])
      for (const value of [1e-25, 3e25, 0]) {
        const memory = new FlatMemory([{ name: "p", shape: [400] }], sgd(), { simd });
        memory.gradient("p").fill(value);
        const { gradNorm, applied } = memory.update({ step: 1 });
        assert.ok(applied && Math.abs(gradNorm - value * 20) <= 1e-6 * value * 20, `${gradNorm} of ${value}`);
        memory.gradient("p")[399] = Number.POSITIVE_INFINITY;
        assert.equal(memory.update({ step: 2 }).applied, false);
      }
  });

  test("an update of matrices that fails on its way leaves all as it was", () => {
    const parameters = [
      { name: "matrix", shape: [6, 5] },
      { name: "bias", shape: [5] },
    ];
    for (const simd of [true, false]) {
      const memory = new FlatMemory(parameters, muon({ lr: 0.1 }), { simd });
      const sections = ["p", "g0", ...memory.optimizer.state];
      const all = (): number[][] => sections.map((name) => [...memory.section(name)]);
      for (const section of sections)
        memory.section(section).forEach((_, i, own) => void (own[i] = random() ** 2));
      const before = all();
      assert.ok(memory.begin({ step: 3 }).applied);
      memory.gradient("matrix").fill(7);
      assert.notDeepEqual(all(), before);
      memory.undo();
      assert.deepEqual(all(), before);
      assert.throws(() => memory.finish(), /no update was begun/);
      memory.update({ step: 3 });
      assert.ok(all().every((section, i) => section.some((value, k) => value !== before[i]![k])));
    }
  });

  test("each parameter of LAMB has a ratio of its own, 1 where a norm is 0", () => {
    for (const simd of [true, false]) {
      const memory = new FlatMemory(
        [
          { name: "a", shape: [3] },
          { name: "b", shape: [20] },
          { name: "none", shape: [0] },
        ],
        lamb({ lr: 0.5, weightDecay: 0 }),
        { simd },
      );
      memory.parameter("a").set([3, 0, 4]);
      memory.gradient("a").fill(2);
      memory.gradient("b").fill(-2);
      memory.update({ step: 1 });
      // Directions of the first step are ±1 but for epsilon: norm √3 against 5; b's own norm is 0.
      const step = (0.5 * 5) / Math.sqrt(3);
      const expected = [3 - step, -step, 4 - step];
      memory.parameter("a").forEach((x, i) => void assert.ok(Math.abs(x - expected[i]!) < 1e-5));
      memory.parameter("b").forEach((x) => void assert.ok(Math.abs(x - 0.5) < 1e-5));
    }
  });

  test("Muon's matrices: nearly orthogonal directions, the same with and without SIMD; the rest is AdamW's", () => {
    const parameters = [
      { name: "tall", shape: [40, 7] },
      { name: "bias", shape: [5] },
      { name: "embedding", shape: [6, 4] },
      { name: "wide", shape: [5, 9], group: 1 },
    ];
    const optimizer = muon({ lr: 0.02, weightDecay: 0.1, scale: "none", others: adamw({ lr: 0.01 }) });
    const [fast, plain] = [true, false].map(
      (simd) => new FlatMemory(parameters, optimizer, { groups: GROUPS, simd }),
    ) as [FlatMemory, FlatMemory];
    const beside = new FlatMemory(parameters, adamw({ lr: 0.01 }), { groups: GROUPS });
    assert.deepEqual(
      fast.matrices.map(({ name }) => name),
      ["tall", "wide"],
    );
    for (const { name } of parameters) {
      fast.parameter(name).forEach((_, i, all) => void (all[i] = random()));
      for (const memory of [plain, beside]) memory.parameter(name).set(fast.parameter(name));
    }
    for (let step = 1; step <= 5; step++) {
      for (const { name } of parameters) {
        fast.gradient(name).forEach((_, i, all) => void (all[i] = random()));
        for (const memory of [plain, beside]) memory.gradient(name).set(fast.gradient(name));
      }
      const before = fast.parameter("tall").slice();
      for (const memory of [fast, plain, beside]) memory.update({ step, clipNorm: 3 });
      // What was subtracted, after the decay, is lr times a matrix whose singular values are about 1.
      const moved = before.map((x, i) => (x * (1 - 0.02 * 0.1) - fast.parameter("tall")[i]!) / 0.02);
      for (let column = 0; column < 7; column++) {
        let norm = 0;
        for (let row = 0; row < 40; row++) norm += moved[row * 7 + column]! ** 2;
        assert.ok(Math.sqrt(norm) > 0.6 && Math.sqrt(norm) < 1.3, `column ${column}: ${Math.sqrt(norm)}`);
      }
    }
    assert.deepEqual(bits(fast.section("p")), bits(plain.section("p")));
    for (const name of ["bias", "embedding"])
      assert.deepEqual(bits(fast.parameter(name)), bits(beside.parameter(name)), name);
    const square = Float32Array.of(3, 0, 0, 1e-3);
    plainNewtonSchulz(square, [2, 2], { coefficients: [1.5, -0.5, 0], steps: 40, epsilon: 1e-7 });
    square.forEach((x, i) => void assert.ok(Math.abs(x - [1, 0, 0, 1][i]!) < 1e-5));
  });

  test("wrong options are refused by name", () => {
    assert.throws(() => lamb({ epsilon: 0 }), /epsilon is 0/);
    assert.throws(() => muon({ lr: 0 }), /lr is 0/);
    assert.throws(() => muon({ steps: 100 }), /100 steps/);
    assert.throws(() => muon({ others: muon() }), /matrices too/);
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
