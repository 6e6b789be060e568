/** Preflight: every rule is seen to report what is one over its limit, and to let pass what is at it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Tensor, tensor, tensorFromStorage } from "../../tensor/index.js";
import { type GraphBuilder, graph } from "../builder.js";
import { type FunctionDef, type Model, makeGraph, makeNode, type Node } from "../graph.js";
import { type FindingCode, refusal, type Trust, underTrust } from "./finding.js";
import { LIMITS } from "./limits.js";
import { preflight } from "./preflight.js";

function int64(...values: (number | bigint)[]): Tensor {
  return tensorFromStorage("int64", [values.length], BigInt64Array.from(values, BigInt));
}

/** A model whose graph `build` makes, not held to the builder's own checks. */
function modelOf(build: (g: GraphBuilder) => void, parts: Partial<Model> = {}): Model {
  const g = graph({ opset: 20 });
  build(g);
  return {
    irVersion: 10,
    opsets: new Map([["", 20]]),
    graph: g.graph(),
    functions: new Map(),
    metadata: new Map(),
    producer: { name: "", version: "" },
    domain: "",
    modelVersion: 0,
    ...parts,
  };
}

/** One node on an input x [2, 3, 4, 5]. */
function oneNode(
  op: string,
  inputs: readonly (string | Tensor)[],
  attrs: Parameters<GraphBuilder["add"]>[2] = {},
  options: { domain?: string; outputs?: string[] } = {},
): Model {
  return modelOf((g) => {
    g.input("x", "float32", [2, 3, 4, 5]);
    const names = inputs.map((input, i) =>
      typeof input === "string" ? input : g.initializer(`c${i}`, input),
    );
    g.output([g.add(op, names, attrs, { outputs: options.outputs ?? ["y"], ...options })].flat()[0]!);
  });
}

function functionOf(name: string, nodes: readonly Node[], parts: Partial<FunctionDef> = {}): FunctionDef {
  return {
    name,
    domain: "local",
    overload: "",
    inputs: ["x"],
    outputs: ["y"],
    attributes: [],
    attributeDefaults: new Map(),
    nodes,
    opsets: new Map([
      ["", 20],
      ["local", 1],
    ]),
    valueInfo: new Map(),
    ...parts,
  };
}

const call = (op: string, input: string, output: string, attrs: Node["attrs"] = new Map()): Node =>
  makeNode({ op, domain: "local", inputs: [input], outputs: [output], attrs });
const relu = (input: string, output: string): Node =>
  makeNode({ op: "Relu", inputs: [input], outputs: [output] });

/** A model that calls the first of its functions. */
function withFunctions(functions: readonly FunctionDef[], node = call(functions[0]!.name, "x", "y")): Model {
  const base = modelOf((g) => void g.input("x", "float32", [2]));
  return {
    ...base,
    opsets: new Map([
      ["", 20],
      ["local", 1],
    ]),
    functions: new Map(functions.map((fn) => [`local:${fn.name}:`, fn])),
    graph: makeGraph({ ...base.graph, nodes: [node], outputs: [{ name: "y" }] }),
  };
}

/** f0 calls f1 calls … `times` each. */
function chain(levels: number, times = 1): FunctionDef[] {
  return Array.from({ length: levels }, (_, level) => {
    const last = level === levels - 1;
    const nodes = Array.from({ length: times }, (_, i) => {
      const [from, to] = [i === 0 ? "x" : `t${i}`, i === times - 1 ? "y" : `t${i + 1}`];
      return last ? relu(from, to) : call(`f${level + 1}`, from, to);
    });
    return functionOf(`f${level}`, nodes);
  });
}

function nested(levels: number): Model {
  return modelOf((g) => {
    const cond = g.input("cond", "bool", []);
    const x = g.input("x", "float32", [1]);
    const inside = (builder: GraphBuilder, left: number): string => {
      if (left === 0) return builder.add("Relu", [x]);
      const [a, b] = [builder.subgraph("a"), builder.subgraph("b")];
      a.output(inside(a, left - 1));
      b.output(b.add("Relu", [x]));
      return builder.add("If", [cond], { then_branch: a, else_branch: b });
    };
    g.output(inside(g, levels));
  });
}

interface LoopParts {
  readonly trip?: Tensor | "input";
  readonly start?: Tensor;
  readonly condition?: "given" | "true" | "false" | "computed";
  /** A second loop of so many turns inside. */
  readonly inner?: number;
}

function loopModel({ trip, start, condition = "given", inner }: LoopParts): Model {
  const bool = (value: number): Tensor => tensorFromStorage("bool", [], Uint8Array.of(value));
  const addLoop = (
    g: GraphBuilder,
    x: string,
    turns: string,
    going: string,
    nestedTurns?: number,
  ): string => {
    const body = g.subgraph("body");
    const id = `${body.add("Identity", [x])}`;
    const turn = body.input(`turn${id}`, "int64", []);
    const given = body.input(`going${id}`, "bool", []);
    const state = body.input(`state${id}`, "float32", [1]);
    body.output(
      condition === "given"
        ? body.add("Identity", [given])
        : condition === "computed"
          ? body.add("Less", [turn, body.initializer(`most${id}`, tensor(9, { dtype: "int64" }))])
          : body.add("Constant", [], { value: bool(condition === "true" ? 1 : 0) }),
    );
    const next =
      nestedTurns === undefined
        ? body.add("Relu", [state])
        : addLoop(body, state, body.initializer(`turns${id}`, int64(nestedTurns)), "");
    body.output(next);
    return g.add("Loop", [turns, going, x], { body });
  };
  return modelOf((g) => {
    const x = g.input("x", "float32", [1]);
    const turns =
      trip === "input" ? g.input("trip", "int64", []) : trip === undefined ? "" : g.initializer("trip", trip);
    const going = start === undefined ? "" : g.initializer("start", start);
    g.output(addLoop(g, x, turns, going, inner));
  });
}

const narrow = (name: string, value: number | bigint): Model =>
  oneNode("DepthToSpace", ["x"], { [name]: value });
const resize = (scales: Tensor, sizes?: Tensor, attrs = {}): Model =>
  oneNode("Resize", ["x", "", ...(sizes === undefined ? [scales] : ["", sizes])], attrs);
const scales = (length: number): Tensor =>
  tensorFromStorage("float32", [length], new Float32Array(length).fill(1));
const reference = (to: string) => ({ kind: "reference", to, of: "int" }) as const;
const blocksize = (value: number | bigint): Model =>
  withFunctions(
    [
      functionOf("f0", [call("f1", "x", "y", new Map([["size", reference("outer")]]))], {
        attributes: ["outer"],
      }),
      functionOf(
        "f1",
        [
          makeNode({
            op: "DepthToSpace",
            inputs: ["x"],
            outputs: ["y"],
            attrs: new Map([["blocksize", reference("size")]]),
          }),
        ],
        { attributes: ["size"] },
      ),
    ],
    call("f0", "x", "y", new Map([["outer", { kind: "int", value }]])),
  );
const names = (length: number): Model =>
  modelOf((g) => g.output(g.add("Relu", [g.input("x", "float32", [1])], {}, { name: "n".repeat(length) })));
const nodes = (count: number): Model =>
  modelOf((g) => {
    let x = g.input("x", "float32", [1]);
    for (let i = 0; i < count; i++) x = g.add("Relu", [x]);
    g.output(x);
  });
const initializers = (count: number): Model => {
  const base = nodes(1);
  const [data] = oneNode("Tile", ["x", int64(1, 1, 1, 1)]).graph.initializers.values();
  const many = Array.from({ length: count }, (_, i) => [`w${i}`, data!] as const);
  return { ...base, graph: makeGraph({ ...base.graph, initializers: new Map(many) }) };
};

const recurrent = (rows: number): Model =>
  modelOf((g) => {
    const x = g.input("x", "float32", [3, rows, 4]);
    g.output(g.add("LSTM", [x, g.input("w", "float32"), g.input("r", "float32")], { hidden_size: 2 }));
  });
const shapedBy = (length: number): Model =>
  modelOf((g) => void g.output(g.add("ConstantOfShape", [g.input("shape", "int64", [length])])));

/** [what, code, one over the limit, at the limit]; codes of the second may not hold the code. */
const CASES: readonly (readonly [string, FindingCode, Model, Model])[] = [
  ["too many inputs", "ARITY", oneNode("Relu", ["x", "x"]), oneNode("Relu", ["x"])],
  ["too few inputs", "ARITY", oneNode("MatMul", ["x"]), oneNode("MatMul", ["x", "x"])],
  ["too many outputs", "ARITY", oneNode("Relu", ["x"], {}, { outputs: ["y", "z"] }), oneNode("Relu", ["x"])],
  [
    "a call with too many values",
    "ARITY",
    withFunctions(chain(1), { ...call("f0", "x", "y"), inputs: ["x", "x"] }),
    withFunctions(chain(1)),
  ],
  [
    "a required input left out",
    "EMPTY_INPUT",
    oneNode("Where", ["", "x", "x"]),
    oneNode("Clip", ["x", "", "x"]),
  ],
  [
    "absent values at the end",
    "TRAILING_EMPTY",
    oneNode("LayerNormalization", ["x", scales(5), ""]),
    oneNode("LayerNormalization", ["x", scales(5)]),
  ],
  [
    "an attribute of 33 bits",
    "ATTRIBUTE_RANGE",
    narrow("blocksize", 2 ** 31),
    narrow("blocksize", 2 ** 31 - 1),
  ],
  [
    "the same handed on by functions",
    "ATTRIBUTE_RANGE",
    blocksize(2n ** 62n),
    withFunctions(
      [
        functionOf(
          "f0",
          [
            makeNode({
              op: "Constant",
              inputs: [],
              outputs: ["y"],
              attrs: new Map([["value_int", reference("v")]]),
            }),
          ],
          { attributes: ["v"] },
        ),
      ],
      call("f0", "x", "y", new Map([["v", { kind: "int", value: 2n ** 62n }]])),
    ),
  ],
  ["a block of size 0", "ATTRIBUTE_POSITIVE", narrow("blocksize", 0), narrow("blocksize", 1)],
  ["the same through a function", "ATTRIBUTE_POSITIVE", blocksize(0), blocksize(1)],
  [
    "a stride of 0",
    "ATTRIBUTE_POSITIVE",
    oneNode("AveragePool", ["x"], { kernel_shape: [1, 1], strides: [1, 0] }),
    oneNode("AveragePool", ["x"], { kernel_shape: [1, 1], strides: [1, 1] }),
  ],
  [
    "an Attention without heads",
    "ATTRIBUTE_POSITIVE",
    oneNode("Attention", ["x", "x", "x"], { q_num_heads: 3, kv_num_heads: 0 }),
    oneNode("Attention", ["x", "x", "x"], { q_num_heads: 3, kv_num_heads: 1 }),
  ],
  ["scales for five axes of four", "RESIZE_LENGTH", resize(scales(5)), resize(scales(4))],
  [
    "sizes for three axes of two",
    "RESIZE_LENGTH",
    resize(scales(0), int64(1, 1, 1), { axes: [2, 3] }),
    resize(scales(0), int64(1, 1), { axes: [2, 3] }),
  ],
  [
    "a function that uses an outer name",
    "FUNCTION_BODY",
    withFunctions([functionOf("f0", [relu("outside", "y")])]),
    withFunctions([functionOf("f0", [relu("x", "y")])]),
  ],
  [
    "a function without its output",
    "FUNCTION_BODY",
    withFunctions([functionOf("f0", [relu("x", "z")])]),
    withFunctions(chain(1)),
  ],
  [
    "a function that calls itself",
    "FUNCTION_RECURSION",
    withFunctions([functionOf("f0", [call("f1", "x", "y")]), functionOf("f1", [call("f0", "x", "y")])]),
    withFunctions(chain(2)),
  ],
  [
    "201 levels of calls",
    "FUNCTION_DEPTH",
    withFunctions(chain(LIMITS.functionDepth + 1)),
    withFunctions(chain(LIMITS.functionDepth)),
  ],
  ["16 levels that double", "EXPANDED_NODES", withFunctions(chain(16, 2)), withFunctions(chain(15, 2))],
  ["33 levels of If", "SUBGRAPH_DEPTH", nested(33), nested(32)],
  ["one node too many", "NODES", nodes(LIMITS.nodes + 1), nodes(LIMITS.nodes)],
  [
    "one weight too many",
    "INITIALIZERS",
    initializers(LIMITS.initializers + 1),
    initializers(LIMITS.initializers),
  ],
  ["a long name", "NAME_LENGTH", names(LIMITS.nameLength + 1), names(LIMITS.nameLength)],
  ["a Loop without an end", "LOOP_UNBOUNDED", loopModel({}), loopModel({ condition: "computed" })],
  ["while (true)", "LOOP_UNBOUNDED", loopModel({ condition: "true" }), loopModel({ condition: "false" })],
  [
    "a million turns and one",
    "LOOP_UNBOUNDED",
    loopModel({ trip: int64(LIMITS.loopTurns + 1) }),
    loopModel({ trip: int64(LIMITS.loopTurns) }),
  ],
  [
    "loops in loops",
    "LOOP_UNBOUNDED",
    loopModel({ trip: int64(1001), inner: 1000 }),
    loopModel({ trip: int64(1000), inner: 1000 }),
  ],
  [
    "a trip count from outside",
    "LOOP_INPUT_BOUND",
    loopModel({ trip: "input" }),
    loopModel({ trip: int64(3) }),
  ],
  [
    "a size from a request",
    "SIZE_INPUT_BOUND",
    modelOf((g) => void g.output(g.add("ConstantOfShape", [g.add("Abs", [g.input("shape", "int64", [2])])]))),
    modelOf(
      (g) => void g.output(g.add("ConstantOfShape", [g.add("Shape", [g.input("x", "float32", [2, "n"])])])),
    ),
  ],
  [
    "ConstantOfShape of more than 1 GiB",
    "OUTPUT_SIZE",
    oneNode("ConstantOfShape", [int64(2 ** 28 + 1)]),
    oneNode("ConstantOfShape", [int64(2 ** 28)]),
  ],
  [
    "Expand",
    "OUTPUT_SIZE",
    oneNode("Expand", [scales(1), int64(2, 2 ** 28)]),
    oneNode("Expand", [scales(1), int64(2 ** 28)]),
  ],
  [
    "Tile",
    "OUTPUT_SIZE",
    oneNode("Tile", ["x", int64(2 ** 22, 1, 1, 1)]),
    oneNode("Tile", ["x", int64(2 ** 20, 1, 1, 1)]),
  ],
  [
    "Range",
    "OUTPUT_SIZE",
    oneNode("Range", [tensor(0, { dtype: "int64" }), tensor(1e18, { dtype: "float64" }), tensor(1)]),
    oneNode("Range", [tensor(0, { dtype: "int64" }), tensor(5, { dtype: "int64" }), tensor(1)]),
  ],
  [
    "RandomNormal",
    "OUTPUT_SIZE",
    oneNode("RandomNormal", [], { shape: [100_000, 100_000] }),
    oneNode("RandomNormal", [], { shape: [16_384, 16_384] }),
  ],
  [
    "Pad",
    "OUTPUT_SIZE",
    oneNode("Pad", ["x", int64(0, 0, 0, 0, 2 ** 24, 0, 0, 0)]),
    oneNode("Pad", ["x", int64(0, 0, 0, 0, 2 ** 20, 0, 0, 0)]),
  ],
  [
    "Resize",
    "OUTPUT_SIZE",
    resize(scales(0), int64(1, 1, 2 ** 15, 2 ** 15)),
    resize(scales(0), int64(1, 1, 2 ** 14, 2 ** 14)),
  ],
  [
    "an input without a rank",
    "RANK_UNDECLARED",
    modelOf((g) => void g.output(g.add("Relu", [g.input("x", "float32")]))),
    oneNode("Relu", ["x"]),
  ],
  ...[256, 4_294_967_295].map(
    (length) => [`a shape of ${length} dimensions`, "RANK", shapedBy(length), shapedBy(LIMITS.rank)] as const,
  ),
  ["an LSTM of no rows", "EMPTY_DIM", recurrent(0), recurrent(1)],
  [
    "an unknown domain",
    "DOMAIN",
    oneNode("Relu", ["x"], {}, { domain: "elsewhere" }),
    oneNode("Gelu", ["x"], {}, { domain: "com.microsoft" }),
  ],
  ["EPContext", "EP_CONTEXT", oneNode("EPContext", ["x"], {}, { domain: "com.microsoft" }), nodes(1)],
  [
    "opset 27",
    "OPSET",
    { ...nodes(1), opsets: new Map([["", 27]]) },
    { ...nodes(1), opsets: new Map([["", 26]]) },
  ],
  ["IR 14", "IR_VERSION", { ...nodes(1), irVersion: 14 }, { ...nodes(1), irVersion: 13 }],
  ["an op that does not exist", "UNKNOWN_OP", oneNode("Rellu", ["x"]), oneNode("Relu", ["x"])],
  [
    "an attribute that the op does not have",
    "SPECIFICATION",
    oneNode("Relu", ["x"], { alpha: 1 }),
    oneNode("LeakyRelu", ["x"], { alpha: 1 }),
  ],
];

function codesOf(model: Model, trust: Trust = "untrusted"): Set<FindingCode> {
  return new Set(preflight(model, { trust }).map(({ code }) => code));
}

for (const [what, code, bad, good] of CASES) {
  test(`${code}: ${what}`, () => {
    const findings = preflight(bad, { trust: "untrusted" });
    assert.ok(
      findings.some((finding) => finding.code === code),
      `found ${findings.map((finding) => `${finding.code} ${finding.where} ${finding.given}`).join("; ")}`,
    );
    assert.ok(!codesOf(good).has(code), "what is at the limit is reported, too");
  });
}

test("trust decides what refuses", () => {
  const loop = preflight(loopModel({}), { trust: "pinned" });
  assert.equal(refusal(loop), undefined);
  assert.deepEqual(
    loop.map(({ code, severity }) => [code, severity]),
    [["LOOP_UNBOUNDED", "warning"]],
  );
  const error = refusal(underTrust(loop, "untrusted"));
  assert.equal(error?.code, "MODEL_UNSUPPORTED");
  assert.match(error.message, /LOOP_UNBOUNDED/);
  assert.equal((error.details.findings as unknown[]).length, 1);
  assert.equal(refusal(preflight(narrow("blocksize", 0)))?.code, "MODEL_INVALID");
});

test("a hundred thousand bad nodes give a readable number of findings", () => {
  const model = nodes(50_000);
  const bad = model.graph.nodes.map((node) => ({ ...node, inputs: [...node.inputs, "x"] }));
  const findings = preflight({ ...model, graph: makeGraph({ ...model.graph, nodes: bad }) });
  assert.equal(findings.length, 16);
});

test("forty doubling levels and a chain of 20,000 functions are counted, not followed", () => {
  assert.ok(codesOf(withFunctions(chain(40, 2))).has("EXPANDED_NODES"));
  assert.ok(codesOf(withFunctions(chain(40, 3))).has("EXPANDED_NODES"));
  assert.ok(codesOf(withFunctions(chain(20_000))).has("FUNCTION_DEPTH"));
});
