/** check(model): every rule is broken once and found, and the message names the node. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TenonError } from "../base/index.js";
import { graph } from "./builder.js";
import { check } from "./check.js";
import { type FunctionDef, functionKey, type Model, makeGraph, makeNode, type Node } from "./graph.js";
import { run } from "./pass.js";

const FLOAT4 = { kind: "tensor", dtype: "float32", shape: [4] } as const;

function modelOf(
  nodes: readonly Node[],
  parts: Partial<Model> = {},
  outputs: readonly string[] = ["y"],
): Model {
  return {
    irVersion: 10,
    opsets: new Map([["", 20]]),
    graph: makeGraph({
      inputs: [
        { name: "x", type: FLOAT4 },
        { name: "c", type: { kind: "tensor", dtype: "bool", shape: [] } },
      ],
      outputs: outputs.map((name) => ({ name })),
      nodes,
    }),
    functions: new Map(),
    metadata: new Map(),
    producer: { name: "", version: "" },
    domain: "",
    modelVersion: 0,
    ...parts,
  };
}

const node = (op: string, inputs: string[], outputs: string[], parts: Partial<Node> = {}): Node =>
  makeNode({ op, inputs, outputs, ...parts });

const relu = node("Relu", ["x"], ["y"]);

function fn(parts: Partial<FunctionDef>): FunctionDef {
  return {
    name: "F",
    domain: "local",
    overload: "",
    inputs: ["a"],
    outputs: ["b"],
    attributes: [],
    attributeDefaults: new Map(),
    nodes: [node("Relu", ["a"], ["b"])],
    opsets: new Map([["", 20]]),
    valueInfo: new Map(),
    ...parts,
  };
}

function withFunctions(functions: readonly FunctionDef[], call: Node): Model {
  return modelOf([call], {
    opsets: new Map([
      ["", 20],
      ["local", 1],
    ]),
    functions: new Map(functions.map((item) => [functionKey(item), item])),
  });
}

const call = (inputs = ["x"], outputs = ["y"]): Node => node("F", inputs, outputs, { domain: "local" });

function branch(outputs: number, free = "x"): Model["graph"] {
  const names = Array.from({ length: outputs }, (_, i) => `inner${free}${i}`);
  return makeGraph({
    nodes: names.map((name) => node("Relu", [free], [name])),
    outputs: names.map((name) => ({ name })),
  });
}

const ifNode = (thenBranch: Model["graph"], elseBranch: Model["graph"]): Node =>
  node("If", ["c"], ["y"], {
    attrs: new Map([
      ["then_branch", { kind: "graph", value: thenBranch }],
      ["else_branch", { kind: "graph", value: elseBranch }],
    ]),
  });

const body = (inputs: number, outputs: number): Model["graph"] =>
  makeGraph({
    inputs: Array.from({ length: inputs }, (_, i) => ({ name: `in${i}` })),
    nodes: Array.from({ length: outputs }, (_, i) => node("Relu", ["x"], [`out${i}`])),
    outputs: Array.from({ length: outputs }, (_, i) => ({ name: `out${i}` })),
  });

const loop = (graphBody: Model["graph"]): Node =>
  node("Loop", ["", "c", "x"], ["y"], { attrs: new Map([["body", { kind: "graph", value: graphBody }]]) });

const defects: Record<string, Model> = {
  "no opset": modelOf([relu], { opsets: new Map() }),
  "opset 0": modelOf([relu], { opsets: new Map([["", 0]]) }),
  "no IR version": modelOf([relu], { irVersion: 0 }),
  "a domain that is not imported": modelOf([node("Gelu", ["x"], ["y"], { domain: "com.microsoft" })]),
  "a deprecated op": modelOf([node("Upsample", ["x", "x"], ["y"])]),
  "too few inputs": modelOf([node("Add", ["x"], ["y"])]),
  "too many inputs": modelOf([node("Relu", ["x", "x"], ["y"])]),
  "too many outputs": modelOf([node("Relu", ["x"], ["y", "z"])]),
  "an absent input that is needed": modelOf([node("Gemm", ["", "x"], ["y"])]),
  "a missing attribute": modelOf([node("Cast", ["x"], ["y"])]),
  "an unknown attribute": modelOf([
    node("Relu", ["x"], ["y"], { attrs: new Map([["alpa", { kind: "int", value: 1 }]]) }),
  ]),
  "an attribute of another kind": modelOf([
    node("Softmax", ["x"], ["y"], { attrs: new Map([["axis", { kind: "float", value: 1 }]]) }),
  ]),
  "an undefined value": modelOf([node("Relu", ["nowhere"], ["y"])]),
  "a value used before it is defined": modelOf([node("Relu", ["t"], ["y"]), node("Relu", ["x"], ["t"])]),
  "a cycle": modelOf([node("Add", ["x", "y"], ["t"]), node("Relu", ["t"], ["y"])]),
  "a value defined twice": modelOf([relu, node("Neg", ["x"], ["y"])]),
  "a value that is an input already": modelOf([node("Relu", ["x"], ["x"])], {}, ["x"]),
  "an undefined output": modelOf([relu], {}, ["z"]),
  "two outputs of one name": modelOf([relu], {}, ["y", "y"]),
  "branches with unequal outputs": modelOf([ifNode(branch(1), branch(2))]),
  "a branch that returns an outer value": modelOf([
    ifNode(branch(1), makeGraph({ outputs: [{ name: "x" }] })),
  ]),
  "a branch that uses nothing": modelOf([ifNode(branch(1), branch(1, "nowhere"))]),
  "a branch that redefines an outer value": modelOf([
    ifNode(branch(1), makeGraph({ nodes: [node("Relu", ["x"], ["x"])], outputs: [{ name: "x" }] })),
  ]),
  "a loop body with too few inputs": modelOf([loop(body(2, 2))]),
  "a loop body with too few outputs": modelOf([loop(body(3, 1))]),
  "a call with too many inputs": withFunctions([fn({})], call(["x", "x"])),
  "a call without a needed attribute": withFunctions([fn({ attributes: ["alpha"] })], call()),
  "a function that uses outer values": withFunctions([fn({ nodes: [node("Relu", ["x"], ["b"])] })], call()),
  "a function with an undefined output": withFunctions([fn({ outputs: ["z"] })], call()),
  "a function that calls itself": withFunctions(
    [fn({ opsets: new Map([["local", 1]]), nodes: [node("F", ["a"], ["b"], { domain: "local" })] })],
    call(),
  ),
  "a reference to an attribute that is not there": withFunctions(
    [
      fn({
        nodes: [
          node("LeakyRelu", ["a"], ["b"], {
            attrs: new Map([["alpha", { kind: "reference", to: "slope", of: "float" }]]),
          }),
        ],
      }),
    ],
    call(),
  ),
  "a weight of another length": modelOf([node("Add", ["x", "w"], ["y"])], {
    graph: makeGraph({
      inputs: [{ name: "x", type: FLOAT4 }],
      outputs: [{ name: "y" }],
      nodes: [node("Add", ["x", "w"], ["y"])],
      initializers: new Map([
        ["w", { dtype: "float32", dims: [4], name: "w", payload: { in: "raw", bytes: new Uint8Array(8) } }],
      ]),
    }),
  }),
  "types that differ": modelOf([node("Add", ["x", "c"], ["y"])]),
  "a type that the op does not take": modelOf([node("Relu", ["c"], ["y"])]),
  "a declared type that the op does not give": modelOf([node("Shape", ["x"], ["y"])], {
    graph: makeGraph({
      inputs: [{ name: "x", type: FLOAT4 }],
      outputs: [{ name: "y", type: FLOAT4 }],
      nodes: [node("Shape", ["x"], ["y"])],
    }),
  }),
};

for (const [what, model] of Object.entries(defects)) {
  test(`finds ${what}`, () => {
    assert.throws(() => check(model), { name: "TenonError", code: "MODEL_INVALID" });
  });
}

test("an unknown op and one of a later opset are unsupported, with a suggestion", () => {
  assert.throws(
    () => check(modelOf([node("MatMull", ["x", "x"], ["y"])])),
    (error: TenonError) => {
      assert.equal(error.code, "MODEL_UNSUPPORTED");
      assert.match(error.message, /MatMul"/);
      assert.equal(error.details.op, "MatMull");
      return true;
    },
  );
  const old = modelOf([node("Gelu", ["x"], ["y"])], { opsets: new Map([["", 19]]) });
  assert.throws(() => check(old), { code: "MODEL_UNSUPPORTED", expected: "opset 20 or newer" });
});

test("good models pass: calls, loops, branches, ops of unknown domains, trailing absent inputs", () => {
  check(modelOf([relu]));
  check(modelOf([ifNode(branch(1), branch(1))].map((item) => item)));
  check(modelOf([loop(body(3, 2))]));
  check(withFunctions([fn({})], call()));
  check(modelOf([node("Secret", ["x"], ["y"], { domain: "my.ops" })], { opsets: new Map([["my.ops", 3]]) }));
  check(modelOf([node("Clip", ["x", "", ""], ["y"])]));
});

test("a broken pass is named", () => {
  const g = graph();
  g.output(g.add("Relu", [g.input("x", "float32", [1])]), "y");
  const broken = {
    name: "lose-node",
    apply: (model: Model) => ({ ...model, graph: makeGraph({ ...model.graph, nodes: [] }) }),
  };
  assert.throws(
    () => run(g.model(), [broken]),
    (error: TenonError) => {
      assert.match(error.message, /after pass lose-node/);
      assert.equal(error.details.pass, "lose-node");
      return true;
    },
  );
});

test("a chain of 20,000 functions is checked without running out of stack", () => {
  const functions = Array.from({ length: 20_000 }, (_, i) =>
    fn({
      name: `F${i}`,
      opsets: new Map([
        ["", 20],
        ["local", 1],
      ]),
      nodes: [
        i === 19_999 ? node("Relu", ["a"], ["b"]) : node(`F${i + 1}`, ["a"], ["b"], { domain: "local" }),
      ],
    }),
  );
  check(withFunctions(functions, node("F0", ["x"], ["y"], { domain: "local" })));
});
