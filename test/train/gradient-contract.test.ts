/** gradients(): names and order of outputs, what is refused and how, kinks, sizes that only the run knows. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { isTenonError, type TenonError } from "tenon/base";
import { graph, type OnnxModel } from "tenon/onnx";
import { Engine } from "tenon/runtime";
import { tensor, tensorFromStorage } from "tenon/tensor";
import { gradients } from "tenon/train";
import { differences, evaluate, listOf } from "./gradcheck.js";

function refusal(call: () => unknown): TenonError {
  try {
    call();
  } catch (error) {
    if (isTenonError(error)) return error;
    throw error;
  }
  assert.fail("nothing was thrown");
}

/** loss = mean((x·w)²), and a value that does not reach it. */
function small(): OnnxModel {
  const g = graph();
  const x = g.input("x", "float32", ["N", 2]);
  const w = g.initializer("w", tensor([[1, 2]], { dtype: "float32" }).reshape([2, 1]));
  const y = g.add("MatMul", [x, w], {}, { outputs: "y" });
  g.add("Relu", [g.input("z", "float32", [1])], {}, { outputs: "aside" });
  g.output(g.add("ReduceMean", [g.add("Mul", [y, y])], { keepdims: 0 }), "loss");
  g.output("aside", "aside");
  return g.model();
}

describe("gradients", () => {
  let engine: Engine;
  before(async () => {
    engine = await Engine.open({ cache: false });
  });
  after(() => engine.close());

  test("outputs are the loss, a gradient per name, then what is kept; inputs stay", async () => {
    const model = small();
    const result = gradients(model, { loss: "loss", wrt: ["w", "y", "x"], keep: ["aside"] });
    assert.deepEqual(
      result.graph.outputs.map(({ name }) => name),
      ["loss", "w_grad", "y_grad", "x_grad", "aside"],
    );
    assert.deepEqual(result.graph.inputs, model.graph.inputs);
    assert.ok(result.graph.initializers.has("w"));
    const out = await evaluate(engine, result, {
      x: tensor(
        [
          [1, 2],
          [3, 4],
        ],
        { dtype: "float32" },
      ),
      z: tensor([1], { dtype: "float32" }),
    });
    assert.deepEqual(listOf(out.y_grad!), [5, 11]);
    assert.deepEqual(listOf(out.w_grad!), [38, 54]);
    assert.deepEqual(out.x_grad!.toArray(), [
      [5, 10],
      [11, 22],
    ]);
  });

  test("a taken name gets a number", () => {
    const g = graph();
    g.input("x", "float32", []);
    g.add("Mul", ["x", "x"], {}, { outputs: "x_grad" });
    g.output(g.add("Exp", ["x_grad"]), "loss");
    const { graph: result } = gradients(g.model(), { loss: "loss", wrt: ["x", "x"] });
    assert.deepEqual(
      result.outputs.map(({ name }) => name),
      ["loss", "x_grad_2", "x_grad_3"],
    );
  });

  test("labels of a part of the rows leave the others alone", async () => {
    const g = graph({ opset: 20 });
    const x = g.input("x", "float64", [3, 4]);
    const labels = g.initializer("labels", tensor([[1n, 1n, 3n]], { dtype: "int64" }));
    const picked = g.add("GatherElements", [g.add("LogSoftmax", [x], { axis: 1 }), labels], { axis: 1 });
    g.output(g.add("ReduceSum", [picked], { keepdims: 0 }), "loss");
    const values = Array.from({ length: 12 }, (_, i) => Math.sin(i));
    const given = { x: tensor(values, { dtype: "float64" }).reshape([3, 4]) };
    assert.ok((await differences(engine, g.model(), given, ["x"], "loss", 1e-6, 1)) < 1e-6);
  });

  test("a pool over a Relu gives its gradient to the first of equal maxima, and none at zero", async () => {
    const g = graph({ opset: 20 });
    const x = g.input("x", "float32", [1, 1, 2, 6]);
    const pooled = g.add("MaxPool", [g.add("Relu", [x])], { kernel_shape: [2, 2], strides: [2, 2] });
    const weights = g.initializer("weights", tensor([3, 5, 7], { dtype: "float32" }).reshape([1, 1, 1, 3]));
    g.output(g.add("ReduceSum", [g.add("Mul", [pooled, weights])], { keepdims: 0 }), "loss");
    const given = tensor([1, 2, -1, 0, 4, 4, 2, 0, 0, -3, 4, 4], { dtype: "float32" }).reshape([1, 1, 2, 6]);
    const out = await evaluate(engine, gradients(g.model(), { loss: "loss", wrt: ["x"] }), { x: given });
    assert.deepEqual(listOf(out.x_grad!), [0, 3, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
  });

  test("a value without influence is an error, or zeros", async () => {
    const error = refusal(() => gradients(small(), { loss: "loss", wrt: ["w", "z"] }));
    assert.equal(error.code, "USAGE");
    assert.deepEqual(error.details.findings, ['the loss does not depend on "z"']);
    const zeros = gradients(small(), { loss: "loss", wrt: ["z"], unused: "zero" });
    const out = await evaluate(engine, zeros, {
      x: tensor([[1, 2]], { dtype: "float32" }),
      z: tensor([1], { dtype: "float32" }),
    });
    assert.deepEqual(listOf(out.z_grad!), [0]);
  });

  test("steps give zero, and count as influence", async () => {
    const g = graph();
    g.input("x", "float32", [2]);
    g.output(g.add("ReduceSum", [g.add("Floor", [g.add("Exp", ["x"])])], { keepdims: 0 }), "loss");
    const out = await evaluate(engine, gradients(g.model(), { loss: "loss", wrt: ["x"] }), {
      x: tensor([1, 2], { dtype: "float32" }),
    });
    assert.deepEqual(listOf(out.x_grad!), [0, 0]);
  });

  test("all that is wrong is said at once: names, dtypes, the loss, nodes and who needs them", () => {
    const g = graph({ opset: 26 });
    const x = g.input("x", "float32", [2, 2]);
    g.input("i", "int64", [1]);
    const d = g.add("Det", [x], {}, { name: "det" });
    g.output(
      g.add("Mul", [
        g.add(
          "ReduceSum",
          [g.add("CumProd", [x, g.initializer("axis", tensor(0n, { dtype: "int64" }))], {}, { name: "cum" })],
          { keepdims: 0 },
        ),
        d,
      ]),
      "loss",
    );
    const error = refusal(() => gradients(g.model(), { loss: "loss", wrt: ["x"] }));
    assert.equal(error.code, "MODEL_UNSUPPORTED");
    assert.deepEqual(error.details.findings, [
      'node "cum" (CumProd): it has no rule; needed by x',
      'node "det" (Det): it has no rule; needed by x',
    ]);
    const whole = refusal(() => gradients(g.model(), { loss: "loss", wrt: ["i"] }));
    assert.deepEqual(whole.details.findings, ['"i" is not float (int64)']);
    const names = refusal(() => gradients(small(), { loss: "y", wrt: ["nobody", "w"], keep: ["nothing"] }));
    assert.equal(names.code, "USAGE");
    assert.deepEqual(names.details.findings, [
      'the graph has no value "nobody"',
      'the graph has no value "nothing"',
      'the loss "y" is not a single element (N × 1)',
    ]);
    assert.match(refusal(() => gradients(small(), { loss: "loss", wrt: [] })).message, /wrt names no value/);
  });

  test("control flow on the path is refused with its subgraph", () => {
    const g = graph();
    const x = g.input("x", "float32", []);
    const branch = (op: string): ReturnType<typeof g.subgraph> => {
      const inner = g.subgraph(op);
      inner.output(inner.add(op, [x]), op);
      return inner;
    };
    const cond = g.add("Greater", [x, g.initializer("zero", tensor(0, { dtype: "float32" }))]);
    g.output(
      g.add("If", [cond], { then_branch: branch("Exp"), else_branch: branch("Neg") }, { name: "choice" }),
      "loss",
    );
    const error = refusal(() => gradients(g.model(), { loss: "loss", wrt: ["x"] }));
    assert.match(
      error.message,
      /"choice" \(If\): control flow has no rule \(subgraph then_branch\); needed by x/,
    );
  });

  test("kinks and ties are PyTorch's", async () => {
    const cases: [op: string, inputs: number[][], attrs: Record<string, number>, expected: number[]][] = [
      ["Relu", [[-1, 0, 2]], {}, [0, 0, 1]],
      ["Abs", [[-1, 0, 2]], {}, [-1, 0, 1]],
      ["LeakyRelu", [[-1, 0, 2]], { alpha: 0.5 }, [0.5, 0.5, 1]],
      ["ReduceMax", [[3, 3, 1]], { keepdims: 0 }, [0.5, 0.5, 0]],
      ["HardSwish", [[-3, 0, 3]], {}, [0, 0.5, 1]],
      ["Clip", [[-1, 0, 0.5, 1, 2], [0], [1]], {}, [0, 1, 1, 1, 0]],
      [
        "Max",
        [
          [1, 2, 3],
          [1, 5, 0],
        ],
        {},
        [0.5, 0, 1],
      ],
    ];
    for (const [op, inputs, attrs, expected] of cases) {
      const g = graph();
      const shapes = inputs.map((values) => (values.length === 1 ? [] : [values.length]));
      const names = shapes.map((shape, i) => g.input(`x${i}`, "float32", shape));
      const y = g.add(op, names, attrs);
      g.output(g.add("ReduceSum", [y], { keepdims: 0 }), "loss");
      const fed = Object.fromEntries(
        inputs.map((values, i) => [`x${i}`, tensor(values, { dtype: "float32" }).reshape(shapes[i]!)]),
      );
      const out = await evaluate(engine, gradients(g.model(), { loss: "loss", wrt: ["x0"] }), fed);
      assert.deepEqual(listOf(out.x0_grad!), expected, op);
    }
  });

  test("sums over symbolic dims are found, also where sizes are known at the run only", async () => {
    const g = graph();
    g.input("a", "float32", ["N", "M"]);
    g.input("b", "float32", ["K", "M"]);
    g.output(g.add("ReduceSum", [g.add("Mul", ["a", "b"])], { keepdims: 0 }), "loss");
    const result = gradients(g.model(), { loss: "loss", wrt: ["a", "b"] });
    const one = tensor([[2, 3]], { dtype: "float32" });
    const two = tensor(
      [
        [1, 1],
        [4, 5],
      ],
      { dtype: "float32" },
    );
    const wide = await evaluate(engine, result, { a: two, b: one });
    assert.deepEqual(
      [wide.a_grad!.toArray(), wide.b_grad!.toArray()],
      [
        [
          [2, 3],
          [2, 3],
        ],
        [[5, 6]],
      ],
    );
    const other = await evaluate(engine, result, { a: one, b: two });
    assert.deepEqual(
      [other.a_grad!.toArray(), other.b_grad!.toArray()],
      [
        [[5, 6]],
        [
          [2, 3],
          [2, 3],
        ],
      ],
    );
  });

  test("a batch that only the run knows to be repeated is summed, whatever its dims are called", async () => {
    const forms: [op: string, a: (string | null)[], b: (string | null)[], attrs: Record<string, string>][] = [
      ["Mul", ["N", "K", "K"], ["M", "K", "K"], {}],
      ["Mul", [null, null, null], [null, null, null], {}],
      ["MatMul", ["N", "K", "K"], ["M", "K", "K"], {}],
      ["MatMul", [null, "K", "K"], [null, "K", "K"], {}],
      ["Einsum", ["N", "K", "K"], ["M", "K", "K"], { equation: "bij,bjk->bik" }],
      ["Einsum", [null, null, null], [null, null, null], { equation: "bij,bjk->bik" }],
    ];
    const ones = (batch: number): ReturnType<typeof tensor> =>
      tensor(new Array<number>(batch * 4).fill(1), { dtype: "float32" }).reshape([batch, 2, 2]);
    for (const [op, a, b, attrs] of forms) {
      const g = graph();
      g.input("a", "float32", a);
      g.input("b", "float32", b);
      g.output(g.add("ReduceSum", [g.add(op, ["a", "b"], attrs)], { keepdims: 0 }), "loss");
      const result = gradients(g.model(), { loss: "loss", wrt: ["a", "b"] });
      const out = await evaluate(engine, result, { a: ones(1), b: ones(3) });
      const each = op === "Mul" ? 1 : 2;
      assert.deepEqual(
        [[...out.a_grad!.shape], listOf(out.a_grad!)],
        [[1, 2, 2], new Array(4).fill(3 * each)],
        op,
      );
      assert.deepEqual(
        [[...out.b_grad!.shape], listOf(out.b_grad!)],
        [[3, 2, 2], new Array(12).fill(each)],
        op,
      );
    }
  });

  test("an empty batch has empty gradients, and zeros for what it shares", async () => {
    const g = graph();
    g.input("x", "float32", ["N", "M"]);
    g.input("w", "float32", ["M"]);
    const mean = g.add("ReduceMean", [
      g.add("Mul", ["x", "w"]),
      g.initializer("axes", tensor([1n], { dtype: "int64" })),
    ]);
    g.output(g.add("ReduceSum", [mean], { keepdims: 0 }), "loss");
    const result = gradients(g.model(), { loss: "loss", wrt: ["x", "w"] });
    const x = tensor([] as number[], { dtype: "float32" }).reshape([0, 3]);
    const out = await evaluate(engine, result, { x, w: tensor([1, 2, 3], { dtype: "float32" }) });
    assert.deepEqual([...out.x_grad!.shape], [0, 3]);
    assert.deepEqual(listOf(out.w_grad!), [0, 0, 0]);
  });

  test("Dropout in training gives the gradient to the elements that it kept", async () => {
    const g = graph();
    g.input("x", "float32", [64]);
    const ratio = g.initializer("ratio", tensor(0.25, { dtype: "float32" }));
    g.add("Dropout", ["x", ratio, g.input("training", "bool", [])], {}, { outputs: "y" });
    g.output(g.add("ReduceSum", ["y"], { keepdims: 0 }), "loss");
    const result = gradients(g.model(), { loss: "loss", wrt: ["x"], keep: ["y"] });
    const x = tensor(
      Array.from({ length: 64 }, (_, i) => i + 1),
      { dtype: "float32" },
    );
    for (const training of [true, false]) {
      const out = await evaluate(engine, result, { x, training: tensor(training, { dtype: "bool" }) });
      const grads = listOf(out.x_grad!);
      assert.equal(grads.includes(0), training);
      listOf(out.y!).forEach((y, i) => {
        assert.ok(Math.abs(y - grads[i]! * (i + 1)) <= 1e-5 * y, `${y}, element ${i} times ${grads[i]}`);
        assert.ok(grads[i] === 0 || Math.abs(grads[i]! - (training ? 4 / 3 : 1)) < 1e-6);
      });
    }
  });

  test("the second input of CastLike has no influence", async () => {
    const g = graph();
    g.input("x", "float32", [2]);
    const constant = g.initializer("constant", tensor([3, 4], { dtype: "float64" }));
    const like = g.add("CastLike", [constant, "x"]);
    g.output(g.add("ReduceSum", [g.add("Mul", [like, "x"])], { keepdims: 0 }), "loss");
    const out = await evaluate(engine, gradients(g.model(), { loss: "loss", wrt: ["x"] }), {
      x: tensor([1, 2], { dtype: "float32" }),
    });
    assert.deepEqual(listOf(out.x_grad!), [3, 4]);
  });

  test("forms without a rule are refused by name, and nothing else is said of them", () => {
    type Form = readonly [build: (g: ReturnType<typeof graph>) => string, reason: RegExp, opset?: number];
    const half = (g: ReturnType<typeof graph>, name: string, shape: number[]): string =>
      g.input(name, "float16", shape);
    const forms: readonly Form[] = [
      [(g) => g.add("Einsum", [g.input("x", "float32", [2, 2])], { equation: "ii->i" }), /diagonal/],
      [
        (g) => {
          const inputs = [g.input("x", "float32", [2, 3]), g.input("s", "float32", [3])];
          const [y, inverse] = g.add("SimplifiedLayerNormalization", inputs, {}, { outputs: 2 });
          return g.add("Add", [y!, inverse!]);
        },
        /SimplifiedLayerNormalization.*statistics/,
      ],
      [
        (g) => {
          const statistics = ["m", "v"].map((name) => g.input(name, "float32", [3]));
          const own = [half(g, "x", [2, 3]), half(g, "s", [3]), half(g, "b", [3])];
          return g.add("Cast", [g.add("BatchNormalization", [...own, ...statistics])], { to: 1 });
        },
        /BatchNormalization.*float16 and float32 together/,
      ],
      [
        (g) => g.add("RMSNormalization", [half(g, "x", [2, 3]), g.input("s", "float32", [3])]),
        /RMSNormalization.*float16 and float32 together/,
        23,
      ],
      [
        (g) => {
          const weights = [g.input("w", "float32", [1, 8, 2]), g.input("r", "float32", [1, 8, 2])];
          return g.add("LSTM", [g.input("x", "float32", [2, 1, 2]), ...weights], {
            hidden_size: 2,
            clip: 1.5,
          });
        },
        /LSTM.*clipped cells/,
      ],
    ];
    for (const [build, reason, opset = 20] of forms) {
      const g = graph({ opset });
      g.output(g.add("ReduceSum", [build(g)], { keepdims: 0 }), "loss");
      const error = refusal(() => gradients(g.model(), { loss: "loss", wrt: ["x"] }));
      assert.equal(error.code, "MODEL_UNSUPPORTED");
      const [finding, ...others] = error.details.findings as string[];
      assert.match(finding!, reason);
      assert.deepEqual(others, []);
    }
  });

  test("GroupNormalization has a scale per group before opset 21, one per channel since", async () => {
    const made = (opset: number, values: number): OnnxModel => {
      const g = graph({ opset: 21 });
      const [x, w, b] = ["x", "w", "b"].map((name) =>
        g.input(name, "float32", name === "x" ? [1, 4, 3] : [values]),
      ) as [string, string, string];
      const y = g.add("GroupNormalization", [x, w, b], { num_groups: 2 });
      g.output(g.add("ReduceSum", [g.add("Mul", [g.add("Mul", [y, y]), x])], { keepdims: 0 }), "loss");
      return { ...g.model(), opsets: new Map([["", opset]]) };
    };
    const x = tensor([1, 5, 3, 2, -1, 4, 0, 7, 2, 3, 3, 8], { dtype: "float32" }).reshape([1, 4, 3]);
    const given = (w: number[], b: number[]) => ({
      x,
      w: tensor(w, { dtype: "float32" }),
      b: tensor(b, { dtype: "float32" }),
    });
    const wrt = ["x", "w", "b"];
    const old = await evaluate(
      engine,
      gradients(made(20, 2), { loss: "loss", wrt }),
      given([1.5, -2], [0.5, 1]),
    );
    const now = await evaluate(
      engine,
      gradients(made(21, 4), { loss: "loss", wrt }),
      given([1.5, 1.5, -2, -2], [0.5, 0.5, 1, 1]),
    );
    const joined = ([a, b, c, d]: number[]): number[] => [a! + b!, c! + d!];
    const pairs = [
      [listOf(old.loss!), listOf(now.loss!)],
      [listOf(old.x_grad!), listOf(now.x_grad!)],
      [listOf(old.w_grad!), joined(listOf(now.w_grad!))],
      [listOf(old.b_grad!), joined(listOf(now.b_grad!))],
    ] as const;
    for (const [a, b] of pairs)
      a.forEach((value, k) => void assert.ok(Math.abs(value - b[k]!) < 1e-4, `${a} ${b}`));
  });

  test("GridSample between elements by cubes is refused", () => {
    const g = graph();
    const y = g.add(
      "GridSample",
      [g.input("x", "float32", [1, 1, 4, 4]), g.input("at", "float32", [1, 2, 2, 2])],
      {
        mode: "cubic",
      },
    );
    g.output(g.add("ReduceSum", [y], { keepdims: 0 }), "loss");
    assert.match(
      refusal(() => gradients(g.model(), { loss: "loss", wrt: ["x"] })).message,
      /"cubic" has no rule/,
    );
  });

  test("products in place of choices, and maxima of four found by rows and columns, give the same", async () => {
    const g = graph();
    const x = g.input("x", "float32", [2, 3, 4, 6]);
    const pooled = (value: string): string =>
      g.add("MaxPool", [value], { kernel_shape: [2, 2], strides: [2, 2] }) as string;
    const clipped = g.add("Clip", [x, g.initializer("low", tensor(1)), g.initializer("high", tensor(3))]);
    const parts = [pooled(x), pooled(g.add("Relu", [x]) as string), pooled(clipped as string)];
    const weighted = parts.map((part, i) => {
      const weights = Float32Array.from({ length: 36 }, (_, k) => ((k * 17 + i) % 11) - 5);
      return g.add("Mul", [
        part,
        g.initializer(`w${i}`, tensorFromStorage("float32", [2, 3, 2, 3], weights)),
      ]);
    });
    g.output(g.add("ReduceSum", [g.add("Sum", weighted as string[])], { keepdims: 0 }), "loss");
    // Few different numbers, so that most windows have several maxima.
    const values = Float32Array.from({ length: 144 }, (_, i) => ((i * 7919) % 5) - 2 + ((i * 31) % 3));
    const inputs = { x: tensorFromStorage("float32", [2, 3, 4, 6], values) };
    const [exact, finite] = [false, true].map((each) =>
      gradients(g.model(), { loss: "loss", wrt: ["x"], finite: each }),
    );
    const expected = listOf((await evaluate(engine, exact!, inputs)).x_grad!);
    assert.ok(expected.some((value) => value !== 0) && !finite!.graph.nodes.some(({ op }) => op === "Where"));
    assert.deepEqual(
      listOf((await evaluate(engine, finite!, inputs)).x_grad!).map((value) => value + 0),
      expected.map((value) => value + 0),
    );
  });
});
