/** The passes by what they print: each on a small graph, checked after it ran. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { tensorFromStorage } from "../../tensor/index.js";
import { type GraphBuilder, graph } from "../builder.js";
import { type Attr, type FunctionDef, type Model, makeGraph, makeNode } from "../graph.js";
import { infer } from "../infer/infer.js";
import { run, withGraph } from "../pass.js";
import { print } from "../print.js";
import { rewriter } from "../rewrite.js";
import { appendGraph } from "./append-graph.js";
import { extractSubgraph } from "./extract-subgraph.js";
import { foldConstants } from "./fold-constants.js";
import { inlineFunctions } from "./inline-functions.js";
import { removeIdentity } from "./remove-identity.js";
import { renameIo } from "./rename-io.js";
import { specialiseDims } from "./specialise-dims.js";
import { takeTransposed } from "./take-transposed.js";
import { untie } from "./untie.js";
import { inputsToWeights, weightsToInputs } from "./weights-to-inputs.js";

const ints = (...values: number[]) =>
  tensorFromStorage("int64", [values.length], BigInt64Array.from(values, BigInt));
const floats = (...values: number[]) =>
  tensorFromStorage("float32", [values.length], Float32Array.from(values));

/** The printed graph, without the line about the model. */
const text = (model: Model): string[] =>
  print(model)
    .trimEnd()
    .split("\n")
    .slice(2)
    .map((line) => line.slice(2));

function built(build: (g: GraphBuilder) => void): Model {
  const g = graph();
  build(g);
  return g.model();
}

test("remove-identity: uses take the input, outputs the name; chains of any length", () => {
  const model = built((g) => {
    let x = g.input("x", "float32", ["N"]);
    x = g.add("Relu", [x], {}, { outputs: ["r"] });
    for (let i = 0; i < 40; i++) x = g.add("Identity", [x]);
    const inner = g.subgraph("inner");
    inner.output(inner.add("Neg", [x], {}, { outputs: ["n"] }));
    const other = g.subgraph("other");
    other.output(other.add("Abs", [x], {}, { outputs: ["a"] }));
    const c = g.input("c", "bool", []);
    g.output(g.add("If", [c], { then_branch: inner, else_branch: other }), "z");
    g.output(g.add("Identity", [x]), "y");
  });
  assert.deepEqual(text(run(model, [removeIdentity])), [
    "in %x: f32[N]",
    "in %c: bool[]",
    "%y: f32[…] = Relu(%x)",
    "%z = If(%c)",
    "  else_branch: graph other",
    "    %a = Abs(%y)",
    "    out %a: ?",
    "  then_branch: graph inner",
    "    %n = Neg(%y)",
    "    out %n: ?",
    "out %z: ?",
    "out %y: f32[…]",
  ]);
});

test("take-transposed: products read the weight as it lies, what else uses its transpose keeps it", () => {
  const model = built((g) => {
    const x = g.input("x", "float32", ["N", 2]);
    const w = g.initializer("w", tensorFromStorage("float32", [3, 2], Float32Array.of(1, 2, 3, 4, 5, 6)));
    const kept = g.initializer("v", tensorFromStorage("float32", [1, 2], Float32Array.of(1, 2)));
    const t = g.add("Transpose", [w], { perm: [1, 0] }, { outputs: ["wt"] });
    const u = g.add("Transpose", [kept], {}, { outputs: ["vt"] });
    g.output(g.add("MatMul", [x, t], {}, { outputs: ["a"] }), "y");
    g.output(g.add("MatMul", [x, u], {}, { outputs: ["b"] }), "z");
    g.output(g.add("MatMul", [g.input("l", "float32", ["N", 2]), u], {}, { outputs: ["c"] }), "l_out");
    g.output(u, "vt_out");
  });
  const ops = run(model, [takeTransposed]).graph.nodes.map(({ op, domain, inputs }) => [
    op,
    domain,
    ...inputs,
  ]);
  assert.deepEqual(ops, [
    ["Transpose", "", "v"],
    ["FusedMatMul", "com.microsoft", "x", "w"],
    ["FusedMatMul", "com.microsoft", "x", "v"],
    ["FusedMatMul", "com.microsoft", "l", "v"],
  ]);
  assert.equal(run(model, [takeTransposed, takeTransposed]).graph.nodes.length, 4);
});

test("untie: a constant behind an Identity becomes one of its own", () => {
  const model = built((g) => {
    const w = g.initializer("w", floats(1, 2));
    const x = g.input("x", "float32", ["N", 2]);
    g.output(g.add("Mul", [g.add("Mul", [x, w]), g.add("Identity", [w], {}, { outputs: ["tied"] })]), "y");
  });
  assert.deepEqual(text(run(model, [untie])), [
    "in %x: f32[N, 2]",
    "@w: f32[2] [1, 2]",
    "@tied_value: f32[2] [1, 2]",
    "%Mul_0 = Mul(%x, @w)",
    "%y: f32[…] = Mul(%Mul_0, @tied_value)",
    "out %y: f32[…]",
  ]);
});

function heads(): Model {
  return built((g) => {
    const x = g.input("x", "float32", ["B", "S", 8]);
    const shape = g.add("Shape", [x]);
    const at = (i: number): string =>
      g.add("Gather", [shape, g.add("Constant", [], { value: ints(i) })], { axis: 0 });
    const width = g.add("Div", [at(2), g.initializer("two", ints(2))]);
    const target = g.add("Concat", [at(0), at(1), g.initializer("h", ints(2)), width], { axis: 0 });
    g.output(g.add("Reshape", [x, target]), "y");
  });
}

test("fold-constants: what follows from the declared shapes is computed; what does not stays", () => {
  assert.deepEqual(text(run(heads(), [foldConstants])), [
    "in %x: f32[B, S, 8]",
    "@h: i64[1] [2]",
    "@Div_3_folded: i64[1] [4]",
    "@Constant_4_folded: i64[1] [0]",
    "@Constant_6_folded: i64[1] [1]",
    "%Shape_0 = Shape(%x)",
    "%Gather_5 = Gather(%Shape_0, @Constant_4_folded, axis=0)",
    "%Gather_7 = Gather(%Shape_0, @Constant_6_folded, axis=0)",
    "%Concat_8 = Concat(%Gather_5, %Gather_7, @h, @Div_3_folded, axis=0)",
    "%y: f32[…] = Reshape(%x, %Concat_8)",
    "out %y: f32[…]",
  ]);
});

test("specialise-dims: sizes for symbols make the rest constant", () => {
  const model = run(heads(), [specialiseDims({ B: 2, S: 3 }), foldConstants]);
  assert.deepEqual(text(infer(model)), [
    "in %x: f32[2, 3, 8]",
    "@Concat_8_folded: i64[4] [2, 3, 2, 4]",
    "%y: f32[2, 3, 2, 4] = Reshape(%x, @Concat_8_folded)",
    "out %y: f32[2, 3, 2, 4]",
  ]);
  assert.throws(() => run(model, [specialiseDims({ T: 2 })]), { code: "USAGE" });
});

/** `local:Scaled(a, by)`: a·by, where `by` has a default; `local:Twice` calls it twice. */
function withFunctions(): Model {
  const reference: Attr = { kind: "reference", to: "by", of: "float" };
  const define = (name: string, parts: Partial<FunctionDef>): FunctionDef => ({
    name,
    domain: "local",
    overload: "",
    inputs: ["a"],
    outputs: ["b"],
    attributes: [],
    attributeDefaults: new Map(),
    nodes: [],
    opsets: new Map([["", 20]]),
    valueInfo: new Map(),
    ...parts,
  });
  const local = (name: string, input: string, output: string, attrs: ReadonlyMap<string, Attr> = new Map()) =>
    makeNode({ op: name, domain: "local", inputs: [input], outputs: [output], attrs });
  const scaled = define("Scaled", {
    attributeDefaults: new Map([["by", { kind: "float", value: 2 } as const]]),
    nodes: [
      makeNode({ op: "Constant", inputs: [], outputs: ["k"], attrs: new Map([["value_float", reference]]) }),
      makeNode({ op: "Mul", inputs: ["a", "k"], outputs: ["b"] }),
    ],
  });
  const twice = define("Twice", {
    opsets: new Map([
      ["", 20],
      ["local", 1],
    ]),
    outputs: ["b", "a"],
    nodes: [
      local("Scaled", "a", "t", new Map([["by", { kind: "float", value: 3 } as const]])),
      local("Scaled", "t", "b"),
    ],
  });
  const plain = built((g) => void g.output(g.input("x", "float32", ["N"])));
  const call = makeNode({ op: "Twice", domain: "local", inputs: ["x"], outputs: ["y", "same"] });
  return {
    ...withGraph(
      plain,
      makeGraph({ ...plain.graph, nodes: [call], outputs: [{ name: "y" }, { name: "same" }] }),
    ),
    opsets: new Map([
      ["", 20],
      ["local", 1],
    ]),
    functions: new Map([
      ["local:Scaled:", scaled],
      ["local:Twice:", twice],
    ]),
  };
}

test("inline-functions: bodies in place of calls, with prefixed names and the attributes of the call", () => {
  const model = run(withFunctions(), [inlineFunctions()]);
  assert.deepEqual([...model.opsets], [["", 20]]);
  assert.deepEqual(text(model), [
    "in %x: f32[N]",
    "%Scaled_1_k = Constant(value_float=3)",
    "%Twice_0_t = Mul(%x, %Scaled_1_k)",
    "%Scaled_2_k = Constant(value_float=2)",
    "%y = Mul(%Twice_0_t, %Scaled_2_k)",
    "%same = Identity(%x)",
    "out %y: ?",
    "out %same: ?",
  ]);
  assert.throws(() => run(withFunctions(), [inlineFunctions({ maxNodes: 3 })]), {
    code: "MODEL_UNSUPPORTED",
  });
});

function chain(): Model {
  return built((g) => {
    const x = g.input("x", "float32", ["N", 2]);
    const h = g.add("Mul", [x, g.initializer("w", floats(1, 2))], {}, { outputs: ["h"] });
    g.output(g.add("Relu", [h]), "y");
  });
}

test("extract-subgraph: the nodes between two cuts, with inferred types", () => {
  assert.deepEqual(text(run(chain(), [extractSubgraph(["h"], ["y"])])), [
    "in %h: f32[N, 2]",
    "%y: f32[N, 2] = Relu(%h)",
    "out %y: f32[N, 2]",
  ]);
  assert.throws(() => run(chain(), [extractSubgraph(["w"], ["y"])]), { code: "USAGE", message: /: x;/ });
});

test("rename-io: both ends, and no name twice", () => {
  const model = run(chain(), [renameIo({ x: "pixels", y: "logits" })]);
  assert.deepEqual(text(model).slice(-3), [
    "%h = Mul(%pixels, @w)",
    "%logits: f32[…] = Relu(%h)",
    "out %logits: f32[…]",
  ]);
  assert.throws(() => run(chain(), [renameIo({ x: "h" })]), { code: "USAGE" });
});

test("weights-to-inputs and back", () => {
  const { model, weights } = weightsToInputs(chain());
  assert.deepEqual(text(model).slice(0, 3), ["in %x: f32[N, 2]", "in %w: f32[2]", "%h = Mul(%x, %w)"]);
  assert.equal(print(inputsToWeights(model, weights)), print(chain()));
});

test("append-graph: the tail takes outputs; names that are taken change", () => {
  const tail = built((g) => {
    const x = g.input("x", "float32", ["N", 2]);
    const h = g.add("Exp", [x], {}, { outputs: ["h"] });
    g.output(g.add("Div", [h, g.input("scale", "float32", [])]), "p");
  });
  assert.deepEqual(text(run(chain(), [appendGraph(tail, { x: "y" })])), [
    "in %x: f32[N, 2]",
    "in %scale: f32[]",
    "@w: f32[2] [1, 2]",
    "%h = Mul(%x, @w)",
    "%y: f32[…] = Relu(%h)",
    "%h_0 = Exp(%y)",
    "%p: f32[…] = Div(%h_0, %scale)",
    "out %p: f32[…]",
  ]);
  assert.throws(() => run(chain(), [appendGraph(tail, { x: "z" })]), { code: "USAGE" });
});

test("a rule that breaks the model is named, and so is one that never ends", () => {
  const broken = rewriter("careless", [
    {
      name: "drop",
      ops: ["Mul"],
      match: (node) => ({ nodes: [node], apply: (patch) => patch.removeNode(node) }),
    },
  ]);
  assert.throws(() => run(chain(), [broken]), {
    code: "MODEL_INVALID",
    message: /after pass careless \(drop\)/,
  });
  const endless = rewriter("endless", [
    {
      name: "again",
      ops: ["Relu"],
      match: (node) => ({
        nodes: [node],
        apply: (patch) => patch.setInput(node, 0, patch.addNode("Neg", [node.inputs[0]!])[0]!),
      }),
    },
  ]);
  assert.throws(() => run(chain(), [endless]), { code: "INTERNAL", message: /again after 8 rounds/ });
});
