/** The builder: what it makes survives writing and reading, and what does not fit is refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { tensorFromStorage } from "../tensor/index.js";
import { graph } from "./builder.js";
import { readModel } from "./read.js";
import { readTensor } from "./tensor-data.js";
import { writeModel } from "./write.js";

const weights = tensorFromStorage(
  "float32",
  [4, 2],
  Float32Array.from({ length: 8 }, (_, i) => i / 2),
);

test("a built model is written and read back as it was", async () => {
  const g = graph({ opset: 20, name: "mlp" });
  const x = g.input("x", "float32", ["batch", 4]);
  const w = g.initializer("w", weights);
  const hidden = g.add("LeakyRelu", [g.add("MatMul", [x, w])], { alpha: 1 });
  const [top, indices] = g.add("TopK", [hidden, g.initializer("k", i64(1))], { axis: -1 }, { outputs: 2 });
  g.output(top!, "best");
  g.output(indices!, "index");
  const model = g.model();
  const read = await readModel(writeModel(model));
  assert.deepEqual(read.graph.nodes, model.graph.nodes);
  assert.deepEqual(read.graph.inputs, model.graph.inputs);
  assert.deepEqual(
    read.graph.outputs.map((output) => output.name),
    ["best", "index"],
  );
  assert.deepEqual(read.graph.nodes[1]!.attrs.get("alpha"), { kind: "float", value: 1 });
  assert.deepEqual(read.graph.nodes[2]!.attrs.get("axis"), { kind: "int", value: -1 });
  assert.deepEqual([...readTensor(read.graph.initializers.get("w")!).bytes], [...weights.bytes]);
});

test("writing twice gives the same bytes", async () => {
  const g = graph();
  g.output(g.add("Relu", [g.input("x", "float16", [2, null])]), "y");
  const bytes = writeModel(g.model());
  assert.deepEqual(writeModel(await readModel(bytes)), bytes);
});

test("a subgraph sees outer values, and its outputs are its own", async () => {
  const g = graph();
  const x = g.input("x", "float32", ["n"]);
  const cond = g.input("cond", "bool", []);
  const yes = g.subgraph("yes");
  yes.output(yes.add("Neg", [x]));
  const no = g.subgraph("no");
  no.output(x);
  g.output(g.add("If", [cond], { then_branch: yes, else_branch: no }), "y");
  const read = await readModel(writeModel(g.model()));
  const branch = read.graph.nodes[0]!.attrs.get("else_branch");
  assert.equal(branch?.kind === "graph" && branch.value.nodes[0]!.op, "Identity");
});

test("attributes that do not fit and names used twice are refused", () => {
  const g = graph();
  const x = g.input("x", "float32", [1]);
  assert.throws(() => g.input("x", "float32", [1]), { code: "USAGE" });
  assert.throws(() => g.add("Gather", [x, x], { axis: 0.5 }), { code: "USAGE" });
  assert.throws(() => g.add("LeakyRelu", [x], { alpha: "a lot" }), { code: "USAGE" });
});

test("a model with a defect is not made", () => {
  const missing = graph();
  missing.output(missing.add("Add", [missing.input("x", "float32", [1]), "nowhere"]));
  assert.throws(() => missing.model(), { code: "MODEL_INVALID" });
  const unknown = graph();
  unknown.output(unknown.add("MatMull", [unknown.input("x", "float32", [1]), "x"]));
  assert.throws(() => unknown.model(), { code: "MODEL_UNSUPPORTED" });
});

function i64(value: number): ReturnType<typeof tensorFromStorage> {
  return tensorFromStorage("int64", [1], BigInt64Array.of(BigInt(value)));
}
