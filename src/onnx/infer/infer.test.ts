/** Inference: expressions over symbols, values through shape arithmetic, declared types, bodies and functions. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { tensorFromStorage } from "../../tensor/index.js";
import { type GraphBuilder, graph } from "../builder.js";
import { check } from "../check.js";
import { type Attr, type Dim, type Model, makeGraph, makeNode, type ValueType } from "../graph.js";
import { withGraph } from "../pass.js";
import { allRows } from "../spec.js";
import { formatType } from "../types.js";
import {
  addDims,
  canonicalDim,
  divideDown,
  divideExactly,
  multiplyDims,
  productOf,
  substitute,
} from "./dim.js";
import { infer, inferTypes } from "./infer.js";
import { ruleNameOf } from "./ops.js";

const ints = (...values: number[]) =>
  tensorFromStorage("int64", [values.length], BigInt64Array.from(values, BigInt));
const int = (value: number) => tensorFromStorage("int64", [], BigInt64Array.of(BigInt(value)));

/** The printed type of a model's first output. */
function typeOf(build: (g: GraphBuilder) => string): string {
  const g = graph();
  g.output(build(g), "y");
  const model = infer(g.model());
  check(model);
  return formatType(model.graph.outputs[0]!.type);
}

test("every op of the table names its rule", () => {
  const missing = allRows().filter(({ domain, op }) => ruleNameOf(domain, op) === undefined);
  assert.deepEqual([...new Set(missing.map(({ domain, op }) => `${domain}:${op}`))], []);
});

test("dims are canonical expressions", () => {
  assert.equal(canonicalDim("past + 2*new-new"), "new+past");
  assert.equal(canonicalDim("batch size"), "batch size");
  assert.equal(addDims("2*S+1", "1-S"), "S+2");
  assert.equal(multiplyDims("S+1", "B"), "B+B*S");
  assert.equal(divideExactly("12*B*S", "4*S"), "3*B");
  assert.equal(divideExactly("S+1", 2), null);
  assert.equal(divideDown("2*S+1", 2), "S");
  assert.equal(addDims("S", "S", -1), 0);
});

const dims = fc.oneof(
  fc.integer({ min: 0, max: 9 }),
  fc.constantFrom("a", "b", "a*b", "2*a+1", "a-b", "3*b"),
);
const sizes = new Map<string, Dim>([
  ["a", 5],
  ["b", 3],
]);

test("arithmetic on expressions is that on their sizes", () => {
  fc.assert(
    fc.property(dims, dims, fc.integer({ min: 1, max: 4 }), (x, y, n) => {
      const [p, q] = [substitute(x, sizes) as number, substitute(y, sizes) as number];
      const same = (symbolic: Dim, expected: number): void => {
        if (symbolic !== null) assert.equal(substitute(symbolic, sizes), expected);
      };
      same(addDims(x, y), p + q);
      same(addDims(x, y, -1), p - q);
      same(multiplyDims(x, y), p * q);
      same(divideDown(x, n), Math.floor(p / n));
      if (q !== 0) same(divideExactly(x, y), p / q);
      assert.equal(divideExactly(multiplyDims(x, 6), 3), multiplyDims(x, 2));
    }),
  );
});

test("heads are split off and joined again", () => {
  const type = typeOf((g) => {
    const x = g.input("x", "float32", ["B", "S", 384]);
    const split = g.add("Reshape", [x, g.initializer("heads", ints(0, -1, 12, 32))]);
    const heads = g.add("Transpose", [split], { perm: [0, 2, 1, 3] });
    const scores = g.add("MatMul", [heads, g.add("Transpose", [heads], { perm: [0, 1, 3, 2] })]);
    const back = g.add("Transpose", [g.add("MatMul", [scores, heads])], { perm: [0, 2, 1, 3] });
    return g.add("Reshape", [back, g.initializer("joined", ints(0, 0, -1))]);
  });
  assert.equal(type, "f32[B, S, 384]");
});

test("targets are followed through shape arithmetic", () => {
  const type = typeOf((g) => {
    const x = g.input("x", "float32", ["B", "S", 8]);
    const shape = g.add("Shape", [x]);
    const at = (i: number): string => g.add("Gather", [shape, g.initializer(`at${i}`, int(i))]);
    const rows = g.add("Mul", [at(0), at(1)]);
    const axes = g.initializer("axes", ints(0));
    const parts = [rows, g.add("Add", [at(2), g.initializer("two", int(2))])].map((v) =>
      g.add("Unsqueeze", [v, axes]),
    );
    return g.add("ConstantOfShape", [g.add("Concat", parts, { axis: 0 })]);
  });
  assert.equal(type, "f32[B*S, 10]");
});

test("a convolution with stride keeps what divides, and forgets what does not", () => {
  const conv = (dim: Dim, stride: number): string =>
    typeOf((g) => {
      const x = g.input("x", "float32", [1, 3, dim]);
      const w = g.initializer("w", tensorFromStorage("float32", [4, 3, 3], new Float32Array(36)));
      return g.add("Conv", [x, w], { pads: [1, 1], strides: [stride] });
    });
  assert.equal(conv("L", 1), "f32[1, 4, L]");
  assert.equal(conv("2*L", 2), "f32[1, 4, L]");
  assert.equal(conv("L", 2), "f32[1, 4, ?]");
});

test("equal symbols stay equal, 1 gives way, and different symbols are unknown", () => {
  const sum = (left: Dim, right: Dim): string =>
    typeOf((g) => g.add("Add", [g.input("a", "float32", [left]), g.input("b", "float32", [right])]));
  assert.equal(sum("N", "N"), "f32[N]");
  assert.equal(sum("N", 1), "f32[N]");
  assert.equal(sum("N", 4), "f32[4]");
  assert.equal(sum("N", "M"), "f32[?]");
  assert.throws(() => sum(3, 4), { code: "MODEL_INVALID", message: /do not broadcast/ });
});

test("slices of symbolic axes are told only where they must hold", () => {
  const cut = (start: number, end: number, dim: Dim): string =>
    typeOf((g) =>
      g.add("Slice", [
        g.input("x", "float32", [dim]),
        g.initializer("s", ints(start)),
        g.initializer("e", ints(end)),
      ]),
    );
  assert.equal(cut(0, 2 ** 40, "N"), "f32[N]");
  assert.equal(cut(1, 2 ** 40, "N+1"), "f32[N]");
  assert.equal(cut(1, 2 ** 40, "N"), "f32[?]");
  assert.equal(cut(0, -1, "N+1"), "f32[N]");
  assert.equal(cut(-3, 2 ** 40, 10), "f32[3]");
});

test("a table cut to the length of the input adds to it", () => {
  const type = typeOf((g) => {
    const ids = g.input("ids", "int64", ["B", "S"]);
    const x = g.input("x", "float32", ["B", "S", 8]);
    const table = g.input("positions", "float32", [1, 512, 8]);
    const at = (name: string, value: number): string => g.initializer(name, ints(value));
    const length = g.add("Slice", [g.add("Shape", [ids]), at("one", 1), at("two", 2)]);
    return g.add("Add", [x, g.add("Slice", [table, at("zero", 0), length, "one"])]);
  });
  assert.equal(type, "f32[B, S, 8]");
  assert.equal(substitute("min(S, 512)", new Map([["S", 700]])), 512);
});

function declared(type: ValueType): Model {
  const g = graph();
  g.output(g.add("Relu", [g.input("x", "float32", ["N", 4])], {}, { outputs: ["h"] }), undefined, type);
  return g.model();
}

test("declared types are merged, and refused when they cannot hold", () => {
  const shape = (model: Model): unknown => formatType(model.graph.outputs[0]!.type);
  assert.equal(shape(infer(declared({ kind: "tensor", dtype: "float32", shape: [8, null] }))), "f32[8, 4]");
  assert.equal(
    shape(infer(declared({ kind: "tensor", dtype: null, shape: ["rows", "cols"] }))),
    "f32[rows, 4]",
  );
  const wrong = declared({ kind: "tensor", dtype: "float32", shape: ["N", 5] });
  assert.throws(() => infer(wrong), {
    code: "MODEL_INVALID",
    message: /declared type of "h".*\n?.*f32\[N, 5\]/,
  });
  assert.equal(inferTypes(wrong, { conflicts: "note" }).notes.length, 1);
});

test("branches agree on what they share; a loop forgets what changes", () => {
  const g = graph();
  const x = g.input("x", "float32", ["N", 4]);
  const branch = (name: string, axis: number): GraphBuilder => {
    const b = g.subgraph(name);
    b.output(b.add("Concat", [x, x], { axis }));
    return b;
  };
  const condition = g.input("c", "bool", []);
  g.output(g.add("If", [condition], { then_branch: branch("yes", 0), else_branch: branch("no", 1) }), "y");
  const body = g.subgraph("body");
  body.inputOf("i");
  const keep = body.inputOf("keep");
  const state = body.inputOf("state");
  body.output(keep, "keep_on");
  body.output(body.add("Concat", [state, state], { axis: 0 }));
  body.output(body.add("ReduceSum", [state], { keepdims: 0 }));
  const outputs = g.add("Loop", [g.input("n", "int64", []), condition, x], { body }, { outputs: 2 });
  for (const [i, name] of outputs.entries()) g.output(name, `z${i}`);
  const model = infer(g.model());
  assert.deepEqual(
    model.graph.outputs.map(({ type }) => formatType(type)),
    ["f32[?, ?]", "f32[?, 4]", "f32[?]"],
  );
});

test("functions are entered with the types and attributes of each call", () => {
  const axis: Attr = { kind: "reference", to: "axis", of: "int" };
  const twice = {
    name: "Twice",
    domain: "local",
    overload: "",
    inputs: ["a"],
    outputs: ["b"],
    attributes: ["axis"],
    attributeDefaults: new Map(),
    nodes: [makeNode({ op: "Concat", inputs: ["a", "a"], outputs: ["b"], attrs: new Map([["axis", axis]]) })],
    opsets: new Map([["", 20]]),
    valueInfo: new Map(),
  };
  const g = graph({ domains: { local: 1 } });
  const x = g.input("x", "float32", ["N", 3]);
  g.output(x, "same");
  const call = (at: number, name: string) =>
    makeNode({
      op: "Twice",
      domain: "local",
      inputs: ["x"],
      outputs: [name],
      attrs: new Map([["axis", { kind: "int", value: at }]]),
    });
  const plain = g.model();
  const model: Model = {
    ...withGraph(
      plain,
      makeGraph({ ...plain.graph, nodes: [...plain.graph.nodes, call(0, "p"), call(1, "q")] }),
    ),
    opsets: new Map([
      ["", 20],
      ["local", 1],
    ]),
    functions: new Map([["local:Twice:", twice]]),
  };
  const { types, gaps } = inferTypes(model);
  assert.deepEqual(
    [formatType(types.get("p")), formatType(types.get("q")), gaps],
    ["f32[2*N, 3]", "f32[N, 6]", 0],
  );
});

test("inferring twice changes nothing", () => {
  const model = infer(declared({ kind: "tensor", dtype: "float32" }));
  assert.deepEqual(infer(model), model);
  assert.equal(productOf(["B", "S", 0]), 0);
});
