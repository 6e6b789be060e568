/** gradients(): names and order of outputs, what is refused and how, and models against PyTorch's figures. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { isTenonError, type TenonError } from "tenon/base";
import { graph, type OnnxModel } from "tenon/onnx";
import { Engine } from "tenon/runtime";
import { tensor } from "tenon/tensor";
import { gradients } from "tenon/train";
import { evaluate, listOf } from "./gradcheck.js";

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
    const g = graph();
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
    const model = (() => {
      try {
        return g.model();
      } catch {
        return undefined;
      }
    })();
    if (model !== undefined) {
      const error = refusal(() => gradients(model, { loss: "loss", wrt: ["x"] }));
      assert.equal(error.code, "MODEL_UNSUPPORTED");
      assert.match(error.message, /"det" \(Det\).*needed by x/);
    }
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
      const names = inputs.map((values, i) => g.input(`x${i}`, "float32", [values.length]));
      const y = g.add(op, names, attrs);
      g.output(g.add("ReduceSum", [y], { keepdims: 0 }), "loss");
      const fed = Object.fromEntries(
        inputs.map((values, i) => [`x${i}`, tensor(values, { dtype: "float32" })]),
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
});
