/** print and describe: golden texts, and a description that is plain JSON. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { tensorFromStorage } from "../tensor/index.js";
import { graph } from "./builder.js";
import { describe, formatDescription } from "./describe.js";
import type { Model } from "./graph.js";
import { print } from "./print.js";
import { readModel } from "./read.js";
import { writeModel } from "./write.js";

function sample(): Model {
  const g = graph({ opset: 20, name: "net" });
  const x = g.input("x", "float32", ["batch", 16]);
  const w = g.initializer("w", tensorFromStorage("float32", [16, 2], new Float32Array(32).fill(0.5)));
  const axis = g.initializer("axis", tensorFromStorage("int64", [1], BigInt64Array.of(-1n)));
  const cond = g.add("ReduceMax", [x], { keepdims: 0 });
  const yes = g.subgraph("yes");
  yes.output(
    yes.add("LeakyRelu", [g.add("MatMul", [x, w], {}, { outputs: ["h"] })], { alpha: 0.1 }),
    "yes_out",
  );
  const no = g.subgraph("no");
  no.output(
    no.add("Clip", [
      "h",
      "",
      no.add("Constant", [], { value: tensorFromStorage("float32", [], Float32Array.of(6)) }),
    ]),
    "no_out",
  );
  const both = g.add("If", [g.add("Cast", [cond], { to: 9 })], { then_branch: yes, else_branch: no });
  g.output(g.add("ReduceSum", [both, axis]), "y", { kind: "tensor", dtype: "float32", shape: ["batch", 1] });
  return g.model();
}

const GOLDEN = `model ir 10, ai.onnx 20
graph net
  in %x: f32[batch, 16]
  @w: f32[16, 2] sha256:8b638c68
  @axis: i64[1] [-1]
  %ReduceMax_0 = ReduceMax(%x, keepdims=0)
  %h = MatMul(%x, @w)
  %Cast_1 = Cast(%ReduceMax_0, to=9)
  %If_2 = If(%Cast_1)
    else_branch: graph no
      %Constant_0 = Constant(value=f32[] 6)
      %no_out = Clip(%h, _, %Constant_0)
      out %no_out: ?
    then_branch: graph yes
      %yes_out = LeakyRelu(%h, alpha=0.1)
      out %yes_out: ?
  %y: f32[batch, 1] = ReduceSum(%If_2, @axis)
  out %y: f32[batch, 1]
`;

test("a graph is printed as it always was, before and after a file", async () => {
  assert.equal(print(sample()), GOLDEN);
  assert.equal(print(await readModel(writeModel(sample()))), GOLDEN);
});

test("a description is plain data and a short text", () => {
  const description = describe(sample());
  assert.deepEqual(JSON.parse(JSON.stringify(description)), description);
  assert.deepEqual(description.weights, { count: 3, values: 34, bytes: 140, externalFiles: [] });
  assert.deepEqual(description.inputs, [
    { name: "x", type: "f32[batch, 16]", dtype: "float32", dims: ["batch", 16], optional: false },
  ]);
  assert.equal(
    formatDescription(description, "net.onnx"),
    `net.onnx  ONNX ir 10, opset 20, 8 nodes, 3 weights (34 values, 140 B)
from   tenon
in     x: f32[batch, 16]
out    y: f32[batch, 1]
ops    Cast 1 · Clip 1 · Constant 1 · If 1 · LeakyRelu 1 · MatMul 1 · ReduceMax 1 · ReduceSum 1
note   BATCH: dim 0 is "batch" on all inputs and outputs
`,
  );
});

test("notes: ranks, loops, versions", () => {
  const g = graph({ opset: 27 });
  const x = g.input("x", "float32");
  const body = g.subgraph("body");
  body.inputOf("i");
  const go = body.inputOf("go");
  body.output(body.add("Identity", [go]));
  body.output(body.add("Neg", [body.inputOf("carried")]));
  g.output(g.add("Loop", ["", g.input("c", "bool", []), x], { body }), "y");
  const codes = describe(g.model()).notes.map((note) => note.code);
  assert.deepEqual(codes, ["RANK_UNDECLARED", "LOOP", "TOO_NEW"]);
});
