/** Patches and passes: what they change, that order and names hold, and that the given model never changes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { tensorFromStorage } from "../tensor/index.js";
import { graph } from "./builder.js";
import { check } from "./check.js";
import { type Model, makeGraph, makeNode } from "./graph.js";
import { run, withGraph } from "./pass.js";
import { dropZipMap } from "./passes/drop-zipmap.js";
import { removeDead } from "./passes/remove-dead.js";
import { stripEmpties } from "./passes/strip-empties.js";
import { Patch } from "./patch.js";
import { print } from "./print.js";
import { inTopologicalOrder } from "./uses.js";

const half = tensorFromStorage("float32", [], Float32Array.of(0.5));

function chain(): Model {
  const g = graph();
  const x = g.input("x", "float32", ["n", 4]);
  const hidden = g.add("Relu", [x], {}, { outputs: ["hidden"] });
  g.output(g.add("Add", [hidden, hidden]), "y");
  return g.model();
}

const lines = (model: Model): string[] =>
  print(model)
    .split("\n")
    .filter((line) => line.includes(" = "))
    .map((line) => line.trim());

test("a node is put between a value and its uses", () => {
  const model = chain();
  const before = print(model);
  const [relu] = model.graph.nodes;
  const patch = new Patch(model.graph, model.opsets);
  const [clipped] = patch.addNode(
    "Mul",
    ["hidden", patch.addInitializer("half", half)],
    {},
    { after: relu! },
  );
  patch.replaceUses("hidden", clipped!);
  const next = withGraph(model, patch.apply());
  check(next);
  assert.deepEqual(lines(next), [
    "%hidden = Relu(%x)",
    "%Mul_0 = Mul(%hidden, @half)",
    "%y: f32[…] = Add(%Mul_0, %Mul_0)",
  ]);
  assert.equal(print(model), before);
});

test("nodes are sorted when an edit turns their order around, and names stay unique", () => {
  const model = chain();
  const patch = new Patch(model.graph, model.opsets);
  const [sum] = patch.addNode("LeakyRelu", ["x"], { alpha: 1 });
  patch.setInput(model.graph.nodes[1]!, 1, sum!);
  patch.renameValue("y", "result");
  assert.equal(patch.addInitializer("x", half), "x_0");
  const next = withGraph(model, patch.apply());
  check(next);
  assert.deepEqual(lines(next), [
    "%hidden = Relu(%x)",
    "%LeakyRelu_0 = LeakyRelu(%x, alpha=1)",
    "%result: f32[…] = Add(%hidden, %LeakyRelu_0)",
  ]);
});

test("a long chain in reverse order is sorted", () => {
  const nodes = Array.from({ length: 50_000 }, (_, i) =>
    makeNode({ op: "Relu", inputs: [`v${49_999 - i}`], outputs: [`v${50_000 - i}`] }),
  );
  assert.deepEqual(
    inTopologicalOrder(nodes).map((node) => node.outputs[0]),
    Array.from({ length: 50_000 }, (_, i) => `v${i + 1}`),
  );
});

test("remove-dead drops what no output needs, also in branches", () => {
  const g = graph();
  const x = g.input("x", "float32", ["n"]);
  g.initializer("unused", half);
  g.add("Neg", [x]);
  const yes = g.subgraph("yes");
  yes.add("Exp", [x]);
  yes.output(yes.add("Abs", [x]));
  const no = g.subgraph("no");
  no.output(no.add("Neg", [x]));
  g.output(g.add("If", [g.input("c", "bool", [])], { then_branch: yes, else_branch: no }), "y");
  const pruned = run(g.model(), [removeDead]);
  assert.equal(pruned.graph.initializers.size, 0);
  assert.deepEqual(
    lines(pruned).map((line) => line.replace(/^.* = /, "")),
    ["If(%c)", "Neg(%x)", "Abs(%x)"],
  );
  assert.equal(run(pruned, [removeDead, stripEmpties]), pruned);
});

test("strip-empties drops absent values at the end, at all depths", () => {
  const model = chain();
  const node = makeNode({ op: "Clip", inputs: ["x", "", ""], outputs: ["y"] });
  const stripped = run(withGraph(model, makeGraph({ ...model.graph, nodes: [node] })), [stripEmpties]);
  assert.deepEqual(stripped.graph.nodes[0]!.inputs, ["x"]);
});

function classifier(labels: Record<string, readonly string[] | readonly bigint[]>, scoresToo = false): Model {
  const g = graph({ opset: 15, domains: { "ai.onnx.ml": 1 } });
  const x = g.input("x", "float32", ["rows", 3]);
  const scores = g.add("Softmax", [x], {}, { outputs: ["scores"] });
  if (scoresToo) g.output(scores);
  const map = g.add("ZipMap", [scores], labels, { domain: "ai.onnx.ml" });
  g.output(map, "probabilities");
  return g.model();
}

test("drop-zipmap gives the scores the output's name and returns the labels", () => {
  const { model, labels } = dropZipMap(classifier({ classlabels_strings: ["cat", "dog", "owl"] }));
  assert.deepEqual([...labels], [["probabilities", ["cat", "dog", "owl"]]]);
  assert.deepEqual(lines(model), ["%probabilities: f32[rows, 3] = Softmax(%x)"]);
  assert.deepEqual(model.graph.outputs, [
    { name: "probabilities", type: { kind: "tensor", dtype: "float32", shape: ["rows", 3] } },
  ]);
});

test("drop-zipmap keeps a score output that is there already, and leaves other models alone", () => {
  const { model, labels } = dropZipMap(classifier({ classlabels_int64s: [0n, 1n, 2n] }, true));
  assert.deepEqual([...labels], [["probabilities", [0n, 1n, 2n]]]);
  assert.deepEqual(
    lines(model).map((line) => line.replace(/^.* = /, "")),
    ["Softmax(%x)", "Identity(%scores)"],
  );
  const plain = chain();
  assert.equal(dropZipMap(plain).model, plain);
});
