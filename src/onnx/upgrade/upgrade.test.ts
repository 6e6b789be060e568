/** Upgrades by what they print; that they compute the same is shown on the official cases (test/python). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type GraphBuilder, graph } from "../builder.js";
import type { Model } from "../graph.js";
import { run } from "../pass.js";
import { foldConstants } from "../passes/fold-constants.js";
import { print } from "../print.js";
import { opRow, opsOf } from "../spec.js";
import { UPGRADE_ROWS } from "./rows.js";
import { upgrade } from "./upgrade.js";

/** The nodes of a model of an old opset, upgraded to 21, with its constants in place. */
function upgraded(opset: number, build: (g: GraphBuilder) => void): string[] {
  const g = graph({ opset });
  build(g);
  const model = run(upgrade(g.model(), 21), [foldConstants]);
  return print(model)
    .trimEnd()
    .split("\n")
    .slice(2)
    .map((line) => line.trim())
    .filter((line) => !line.startsWith("in ") && !line.startsWith("out "));
}

test("attributes become inputs", () => {
  const nodes = upgraded(9, (g) => {
    const x = g.input("x", "float32", ["N", 4]);
    const cut = g.add("Slice", [x], { starts: [0], ends: [2], axes: [1] });
    g.output(g.add("ReduceMean", [g.add("Unsqueeze", [cut], { axes: [0] })], { axes: [2] }), "y");
  });
  assert.deepEqual(nodes, [
    "@Constant_up0_folded: i64[1] [0]",
    "@Constant_up1_folded: i64[1] [2]",
    "@Constant_up2_folded: i64[1] [1]",
    "@Constant_up3_folded: i64[1] [0]",
    "@Constant_up4_folded: i64[1] [2]",
    "%Slice_0 = Slice(%x, @Constant_up0_folded, @Constant_up1_folded, @Constant_up2_folded)",
    "%Unsqueeze_1 = Unsqueeze(%Slice_0, @Constant_up3_folded)",
    "%y: f32[…] = ReduceMean(%Unsqueeze_1, @Constant_up4_folded)",
  ]);
});

test("Upsample becomes the Resize that it was", () => {
  const nodes = upgraded(7, (g) => {
    const x = g.input("x", "float32", [1, 1, 2, 2]);
    g.output(g.add("Upsample", [x], { scales: [1, 1, 2, 2] }), "y");
  });
  assert.deepEqual(nodes, [
    "@Constant_up0_folded: f32[4] [1, 1, 2, 2]",
    '%y: f32[…] = Resize(%x, _, @Constant_up0_folded, coordinate_transformation_mode="asymmetric", nearest_mode="floor")',
  ]);
});

test("Softmax keeps its meaning: of the last axis as it is, of a flattened one as such", () => {
  const softmax = (axis: number | undefined): string[] =>
    upgraded(11, (g) => {
      const x = g.input("x", "float32", ["N", 3, 4]);
      g.output(g.add("Softmax", [x], axis === undefined ? {} : { axis }), "y");
    });
  assert.deepEqual(softmax(2), ["%y: f32[…] = Softmax(%x, axis=-1)"]);
  assert.deepEqual(softmax(undefined), [
    "%Flatten_up0 = Flatten(%x, axis=1)",
    "%Shape_up1 = Shape(%x)",
    "%Softmax_up2 = Softmax(%Flatten_up0, axis=-1)",
    "%y: f32[…] = Reshape(%Softmax_up2, %Shape_up1)",
  ]);
});

test("inner graphs are upgraded too", () => {
  const nodes = upgraded(11, (g) => {
    const x = g.input("x", "float32", [1, 4]);
    const yes = g.subgraph("yes");
    yes.output(yes.add("Squeeze", [x], { axes: [0] }, { outputs: ["s"] }));
    const no = g.subgraph("no");
    no.output(no.add("Neg", [x], {}, { outputs: ["n"] }));
    g.output(g.add("If", [g.input("c", "bool", [])], { then_branch: yes, else_branch: no }), "y");
  });
  assert.ok(nodes.includes("%s = Squeeze(%x, %Constant_up0)"), nodes.join("\n"));
});

test("what newer opsets cannot say is refused; so are other targets and what is too old", () => {
  const old = (opset: number, build: (g: GraphBuilder) => void): Model => {
    const g = graph({ opset });
    build(g);
    return g.model();
  };
  const relu = (g: GraphBuilder): void => void g.output(g.add("Relu", [g.input("x", "float32", [1])]));
  assert.throws(() => upgrade(old(6, relu), 20), { code: "MODEL_UNSUPPORTED" });
  assert.throws(() => upgrade(old(9, relu), 27), { code: "USAGE" });
  const current = old(20, relu);
  assert.equal(upgrade(current, 20), current);
  const training = old(9, (g) => {
    const inputs = ["x", "s", "b", "m", "v"].map((name) =>
      g.input(name, "float32", name === "x" ? [1, 2] : [2]),
    );
    for (const name of g.add("BatchNormalization", inputs, {}, { outputs: 2 })) g.output(name);
  });
  assert.throws(() => upgrade(training, 20), { code: "MODEL_UNSUPPORTED", message: /training outputs/ });
});

test("every op that lost an attribute on the way to opset 26 has a row there", () => {
  const gaps: string[] = [];
  for (let opset = 8; opset <= 26; opset++) {
    for (const op of opsOf("")) {
      const [before, after] = [opRow("", op, opset - 1), opRow("", op, opset)];
      if (before === undefined || after === undefined || before === after || after.deprecated) continue;
      const lost = [...before.attrs.keys()].filter((name) => !after.attrs.has(name));
      if (lost.length > 0 && UPGRADE_ROWS.get(opset)?.has(op) !== true)
        gaps.push(`${op} ${opset}: ${lost.join(", ")}`);
    }
  }
  assert.deepEqual(gaps, []);
});
