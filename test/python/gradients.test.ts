/** Gradients held against PyTorch's autograd: every node of the difference tests, kinks and odd values, whole models. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { graph, type OnnxModel } from "tenon/onnx";
import { Engine } from "tenon/runtime";
import { type Tensor, tensor } from "tenon/tensor";
import { gradients } from "tenon/train";
import { seededRandom } from "../support/random.js";
import { buildCase, evaluate, listOf, type Part, type Values } from "../train/gradcheck.js";
import { CASES, type Case } from "../train/gradient-cases.js";
import { EDGES } from "./gradient-edges.js";

const script = resolve(import.meta.dirname, "../../../test/python/gradients.py");

/** A model and what PyTorch is to compute in its place. */
interface Compared {
  readonly label: string;
  readonly op: string;
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly model: OnnxModel;
  readonly given: readonly (Tensor | undefined)[];
  readonly inputs: Values;
  readonly wrt: readonly string[];
  readonly parts: readonly Part[];
}

interface Answer {
  readonly loss: number | string;
  readonly gradients: readonly (readonly (number | string)[])[];
}

/** Ops of torchvision, which is not installed. */
const ELSEWHERE = new Set(["DeformConv", "RoiAlign"]);

/** ONNX Runtime weights what a smoothed window reaches beyond the edge otherwise than PyTorch: their outputs differ. */
const isComparable = ({ op, attrs }: Case): boolean =>
  !ELSEWHERE.has(op) && !(op === "Resize" && attrs?.antialias === 1);

const NODES: Compared[] = [...CASES, ...EDGES].filter(isComparable).map((each, i) => ({
  label: `${each.op} ${JSON.stringify(each.inputs)} ${JSON.stringify(each.attrs ?? {})}`,
  op: each.domain === undefined ? each.op : `${each.domain}:${each.op}`,
  attrs: each.attrs ?? {},
  ...buildCase(each, i + 1),
}));

type Shapes = Readonly<Record<string, readonly number[]>>;

const random = seededRandom(5);
const normal = (shape: readonly number[]): Tensor =>
  tensor(
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => (random() + random() + random()) * 2 - 3),
    { dtype: "float32" },
  ).reshape([...shape]);

/** A model of float inputs and weights, all with gradients, and labels; its loss is cross-entropy. */
function network(
  op: string,
  shapes: Shapes,
  labels: readonly number[],
  logits: (g: ReturnType<typeof graph>, names: Readonly<Record<string, string>>) => string,
): Compared {
  const g = graph({ opset: 20 });
  const inputs: Record<string, Tensor> = {};
  for (const [name, shape] of Object.entries(shapes)) {
    inputs[name] = normal(shape);
    g.input(name, "float32", [...shape]);
  }
  const target = tensor(labels.map(BigInt), { dtype: "int64" });
  g.input("labels", "int64", [labels.length]);
  const wrt = Object.keys(shapes);
  const scores = logits(g, Object.fromEntries(wrt.map((name) => [name, name])));
  g.output(g.add("SoftmaxCrossEntropyLoss", [scores, "labels"]), "loss");
  const [x, ...weights] = wrt.map((name) => inputs[name]!);
  return {
    label: op,
    op,
    attrs: {},
    model: g.model(),
    given: [x, target, ...weights],
    inputs: { ...inputs, labels: target },
    wrt,
    parts: [{ output: 0, values: [1] }],
  };
}

const MODELS: Compared[] = [
  network(
    "model:mlp",
    { x: [8, 12], w1: [12, 16], b1: [16], w2: [16, 16], b2: [16], w3: [16, 5], b3: [5] },
    [0, 3, 4, 1, 1, 2, 0, 4],
    (g, { x, w1, b1, w2, b2, w3, b3 }) => {
      const first = g.add("Relu", [g.add("Add", [g.add("MatMul", [x!, w1!]), b1!])]);
      const second = g.add("Gelu", [g.add("Gemm", [first, w2!, b2!])]);
      return g.add("Gemm", [second, w3!, b3!]);
    },
  ),
  network(
    "model:cnn",
    {
      ...{ x: [4, 2, 16, 16], w1: [6, 2, 3, 3], scale: [6], bias: [6] },
      ...{ w2: [8, 6, 3, 3], b2: [8], w3: [32, 5], b3: [5] },
    },
    [2, 0, 4, 1],
    (g, { x, w1, scale, bias, w2, b2, w3, b3 }) => {
      const constant = (name: string, value: number): string =>
        g.initializer(name, tensor(new Array<number>(6).fill(value), { dtype: "float32" }));
      const first = g.add("Conv", [x!, w1!], { pads: [1, 1, 1, 1] });
      const statistics = [constant("mean", 0), constant("variance", 1)];
      const [normalized] = g.add(
        "BatchNormalization",
        [first, scale!, bias!, ...statistics],
        { training_mode: 1 },
        { outputs: 3 },
      );
      const pool = { kernel_shape: [2, 2], strides: [2, 2] };
      const small = g.add("MaxPool", [g.add("Relu", [normalized!])], pool);
      const second = g.add("Conv", [small, w2!, b2!], { strides: [2, 2], pads: [1, 1, 1, 1] });
      const silu = g.add("Mul", [second, g.add("Sigmoid", [second])]);
      const flat = g.add("Flatten", [g.add("AveragePool", [silu], pool)]);
      return g.add("Gemm", [flat, w3!, b3!]);
    },
  ),
];

/** What JSON has no numbers for goes as text. */
const texts = (values: readonly number[]): (number | string)[] =>
  values.map((value) => (Number.isFinite(value) ? value : String(value)));

function answersOf(cases: readonly Compared[]): Answer[] {
  const input = JSON.stringify(
    cases.map(({ op, attrs, given, wrt, inputs, parts }) => ({
      op,
      attrs,
      inputs: Array.from(given, (x) =>
        x === undefined ? null : { values: texts(listOf(x)), shape: x.shape, dtype: x.dtype },
      ),
      wrt: wrt.map((name) => given.indexOf(inputs[name]!)),
      weights: parts,
    })),
  );
  const printed = execFileSync(process.env.TENON_PYTHON!, [script], {
    input,
    encoding: "utf8",
    maxBuffer: 2 ** 26,
    env: { ...process.env, OMP_NUM_THREADS: "1" },
  });
  return JSON.parse(printed) as Answer[];
}

const number = (value: number | string): number =>
  value === "nan" ? Number.NaN : typeof value === "number" ? value : Number(value.replace("inf", "Infinity"));

/** Every element within `tolerance` of the largest finite one or of `least`; NaN and infinities at the same places. */
function compare(
  found: readonly number[],
  expected: readonly number[],
  { tolerance, least, label }: { tolerance: number; least: number; label: string },
): void {
  assert.equal(found.length, expected.length, label);
  const scale = Math.max(least, ...expected.filter(Number.isFinite).map(Math.abs));
  found.forEach((value, i) => {
    const wanted = expected[i]!;
    const same = Object.is(value, wanted) || Math.abs(value - wanted) <= tolerance * scale;
    assert.ok(same, `${label}, element ${i}: ${value}, PyTorch has ${wanted}`);
  });
}

describe("gradients are PyTorch's", () => {
  const all = [...NODES, ...MODELS];
  let engine: Engine;
  let answers: Answer[];
  before(async () => {
    engine = await Engine.open({ cache: false });
    answers = answersOf(all);
  });
  after(() => engine.close());

  for (const op of new Set(all.map((each) => each.op))) {
    test(op, async () => {
      for (const [i, { label, model, inputs, wrt, op: own }] of all.entries()) {
        if (own !== op) continue;
        const made = gradients(model, { loss: "loss", wrt, unused: "zero" });
        const results = await evaluate(engine, made, inputs).catch((cause) =>
          assert.fail(`${label}: ${cause.message} ${cause.cause}`),
        );
        const { loss, gradients: theirs } = answers[i]!;
        // ONNX Runtime rounds a factor that it takes into a product of matrices to float32, of float64 too.
        const tolerance = Object.values(inputs).some(({ dtype }) => dtype === "float64") ? 1e-7 : 1e-5;
        // The loss is a sum of terms of about 1 of either sign.
        compare(listOf(results.loss!), [number(loss)], { tolerance, least: 1, label: `loss of ${label}` });
        wrt.forEach((name, k) => {
          const found = listOf(results[made.graph.outputs[k + 1]!.name]!);
          compare(found, theirs[k]!.map(number), { tolerance, least: 1e-3, label: `${name} of ${label}` });
        });
      }
    });
  }
});
