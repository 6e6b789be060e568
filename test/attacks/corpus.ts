/** Hostile models: how each is made, and what becomes of it. Every class of attack that is known is a row. */
import type { FindingCode } from "tenon/onnx";
import {
  BOOL,
  bool,
  FLOAT,
  floats,
  functionProto,
  graphProto,
  INT32,
  INT64,
  int64s,
  message,
  modelProto,
  node,
  tensorProto,
  value,
  varint,
} from "./wire.js";

/** What becomes of a model: refused with a finding, or nothing can be said against it before it runs. */
export type Outcome = FindingCode | "loads";

export interface Attack {
  readonly outcome: Outcome;
  /** The file's bytes. */
  readonly make: () => Uint8Array;
}

const X = value("x", FLOAT, [4]);
const Y = value("y");

/** One node y = op(x, …constants). */
function single(
  op: string,
  constants: readonly Uint8Array[] = [],
  attrs: Parameters<typeof node>[3] = {},
  x = X,
): Uint8Array {
  const names = constants.map((_, i) => `c${i}`);
  return modelProto({
    nodes: [node(op, ["x", ...names], ["y"], attrs)],
    initializers: constants,
    inputs: [x],
    outputs: [Y],
  });
}

/** y = op(…constants): nothing of it depends on an input. */
function folded(
  op: string,
  constants: readonly Uint8Array[],
  attrs: Parameters<typeof node>[3] = {},
): Uint8Array {
  return modelProto({
    nodes: [
      node(
        op,
        constants.map((_, i) => `c${i}`),
        ["y"],
        attrs,
      ),
    ],
    initializers: constants,
    outputs: [Y],
  });
}

interface LoopParts {
  /** Turns; without them there is no trip count. */
  readonly turns?: bigint;
  readonly going?: boolean;
  /** Every turn also appends to an output. */
  readonly scan?: boolean;
  /** The start is a constant, so that the whole loop is one. */
  readonly constant?: boolean;
}

function loop({ turns, going, scan = false, constant = false }: LoopParts): Uint8Array {
  const body = graphProto({
    nodes: [
      node("Identity", ["going"], ["goes"]),
      node("Relu", ["state"], ["next"]),
      ...(scan ? [node("Identity", ["state"], ["piece"])] : []),
    ],
    inputs: [value("turn", INT64, []), value("going", BOOL, []), value("state", FLOAT, [4])],
    outputs: [
      value("goes", BOOL, []),
      value("next", FLOAT, [4]),
      ...(scan ? [value("piece", FLOAT, [4])] : []),
    ],
  });
  return modelProto({
    nodes: [
      node(
        "Loop",
        [turns === undefined ? "" : "turns", going ? "start" : "", "x"],
        ["y", ...(scan ? ["z"] : [])],
        {
          attrs: { body: { graph: body } },
        },
      ),
    ],
    initializers: [
      ...(turns === undefined ? [] : [int64s("turns", [turns], true)]),
      ...(going ? [bool("start", true)] : []),
      ...(constant ? [floats("x", [4], [1, 2, 3, 4])] : []),
    ],
    inputs: constant ? [] : [X],
    outputs: [Y, ...(scan ? [value("z")] : [])],
  });
}

/** f0 calls f1 calls … `times` each; the last one is a Relu. */
function functions(levels: number, times = 1): Uint8Array {
  const bodies = Array.from({ length: levels }, (_, level) => {
    const nodes = Array.from({ length: times }, (_, i) => {
      const [from, to] = [i === 0 ? "x" : `t${i}`, i === times - 1 ? "y" : `t${i + 1}`];
      return level === levels - 1
        ? node("Relu", [from], [to])
        : node(`f${level + 1}`, [from], [to], { domain: "local" });
    });
    return functionProto(`f${level}`, ["x"], ["y"], nodes);
  });
  return calling(bodies);
}

function calling(bodies: readonly Uint8Array[], inputs: readonly string[] = ["x"]): Uint8Array {
  return modelProto({
    nodes: [node("f0", inputs, ["y"], { domain: "local" })],
    inputs: [X],
    outputs: [Y],
    functions: bodies,
    domains: ["local"],
  });
}

function nestedIf(levels: number): Uint8Array {
  let inner = node("Relu", ["x"], ["r"]);
  let output = "r";
  for (let level = 0; level < levels; level++) {
    const branch = (body: Uint8Array, result: string): Uint8Array =>
      graphProto({ nodes: [body], outputs: [message([1, result])] });
    const other = `o${level}`;
    inner = node("If", ["cond"], [`y${level}`], {
      attrs: {
        then_branch: { graph: branch(inner, output) },
        else_branch: { graph: branch(node("Relu", ["x"], [other]), other) },
      },
    });
    output = `y${level}`;
  }
  return modelProto({
    nodes: [inner],
    inputs: [value("cond", BOOL, []), X],
    outputs: [message([1, output])],
  });
}

function chain(op: string, length: number, binary = false): Uint8Array {
  const nodes = Array.from({ length }, (_, i) => {
    const from = i === 0 ? "x" : `t${i}`;
    return node(op, binary ? [from, "x"] : [from], [i === length - 1 ? "y" : `t${i + 1}`]);
  });
  return modelProto({ nodes, inputs: [X], outputs: [Y] });
}

function doublingConcat(times: number): Uint8Array {
  const nodes = Array.from({ length: times }, (_, i) => {
    const from = i === 0 ? "x" : `t${i}`;
    return node("Concat", [from, from], [i === times - 1 ? "y" : `t${i + 1}`], { attrs: { axis: 0 } });
  });
  return modelProto({ nodes, inputs: [X], outputs: [Y] });
}

const weight = (bytes: Uint8Array): Uint8Array =>
  modelProto({ nodes: [node("Add", ["x", "w"], ["y"])], initializers: [bytes], inputs: [X], outputs: [Y] });

const IMAGE = value("x", FLOAT, [1, 1, 8, 8]);
const KERNEL = floats("c0", [1, 1, 3, 3], new Array(9).fill(1));
const conv = (attrs: { [name: string]: (number | bigint)[] }): Uint8Array =>
  single("Conv", [KERNEL], { attrs: { kernel_shape: [3, 3], ...attrs } }, IMAGE);
const pool = (attrs: { [name: string]: (number | bigint)[] }): Uint8Array =>
  single("AveragePool", [], { attrs: { kernel_shape: [3, 3], ...attrs } }, IMAGE);
const twoFields = tensorProto({ name: "w", dims: [1], raw: new Uint8Array(4), floatData: new Uint8Array(4) });
const valid = chain("Relu", 1);

/** Everything that a single file can do. Names are names of models, too. */
export const ATTACKS = {
  // ── time ───────────────────────────────────────────────────────────────────────────────────
  "loop-2p62": { outcome: "LOOP_UNBOUNDED", make: () => loop({ turns: 2n ** 62n }) },
  "loop-2p62-scan": { outcome: "LOOP_UNBOUNDED", make: () => loop({ turns: 2n ** 62n, scan: true }) },
  "while-true": { outcome: "LOOP_UNBOUNDED", make: () => loop({ going: true }) },
  "loop-without-end": { outcome: "LOOP_UNBOUNDED", make: () => loop({}) },
  "loop-of-constants": {
    outcome: "LOOP_UNBOUNDED",
    make: () => loop({ turns: 2n ** 62n, going: true, constant: true }),
  },
  "functions-doubling-8": { outcome: "loads", make: () => functions(8, 2) },
  "functions-doubling-16": { outcome: "EXPANDED_NODES", make: () => functions(16, 2) },
  "functions-doubling-40": { outcome: "EXPANDED_NODES", make: () => functions(40, 2) },
  "functions-tripling-60": { outcome: "EXPANDED_NODES", make: () => functions(60, 3) },
  "chain-20k-mul": { outcome: "loads", make: () => chain("Mul", 20_000, true) },
  "chain-100k": { outcome: "loads", make: () => chain("Relu", 100_000) },
  "chain-100k-and-one": { outcome: "NODES", make: () => chain("Relu", 100_001) },

  // ── memory ─────────────────────────────────────────────────────────────────────────────────
  "constant-of-shape-6GB": {
    outcome: "OUTPUT_SIZE",
    make: () => folded("ConstantOfShape", [int64s("c0", [1_500_000_000])]),
  },
  "constant-of-shape-100GB": {
    outcome: "OUTPUT_SIZE",
    make: () => folded("ConstantOfShape", [int64s("c0", [25, 1_000_000_000])]),
  },
  "random-normal-100GB": {
    outcome: "OUTPUT_SIZE",
    make: () => folded("RandomNormal", [], { attrs: { shape: [25, 1_000_000_000] } }),
  },
  "range-1e18": {
    outcome: "OUTPUT_SIZE",
    make: () =>
      folded("Range", [
        int64s("c0", [0], true),
        int64s("c1", [1_000_000_000_000_000_000n], true),
        int64s("c2", [1], true),
      ]),
  },
  "tile-25e9": { outcome: "OUTPUT_SIZE", make: () => single("Tile", [int64s("c0", [25_000_000_000])]) },
  "expand-100GB": {
    outcome: "OUTPUT_SIZE",
    make: () => single("Expand", [int64s("c0", [25_000_000_000, 4])]),
  },
  "shape-of-4e9-dims": {
    outcome: "RANK",
    make: () =>
      modelProto({
        nodes: [node("ConstantOfShape", ["x"], ["y"])],
        inputs: [value("x", INT64, [4_294_967_295])],
        outputs: [Y],
      }),
  },
  "recurrent-without-rows": {
    outcome: "EMPTY_DIM",
    make: () =>
      modelProto({
        nodes: [node("LSTM", ["x", "w", "r"], ["y"], { attrs: { hidden_size: 2 } })],
        initializers: [
          floats("w", [1, 8, 4], new Array(32).fill(0)),
          floats("r", [1, 8, 2], new Array(16).fill(0)),
        ],
        inputs: [value("x", FLOAT, [4, 0, 4])],
        outputs: [Y],
      }),
  },
  "concat-doubling-34": { outcome: "OUTPUT_SIZE", make: () => doublingConcat(34) },
  "dims-25e9-raw": {
    outcome: "FILE_FORMAT",
    make: () => weight(tensorProto({ name: "w", dims: [25_000_000_000], raw: new Uint8Array(8) })),
  },
  "dims-25e9-float-data": {
    outcome: "FILE_FORMAT",
    make: () => weight(tensorProto({ name: "w", dims: [25_000_000_000], floatData: new Uint8Array(8) })),
  },
  "dims-negative": {
    outcome: "FILE_FORMAT",
    make: () => weight(tensorProto({ name: "w", dims: [-1], raw: new Uint8Array(8) })),
  },
  "dims-2p32x2p32": {
    outcome: "FILE_FORMAT",
    make: () => weight(tensorProto({ name: "w", dims: [2 ** 32, 2 ** 32], raw: new Uint8Array(8) })),
  },

  // ── native crashes ─────────────────────────────────────────────────────────────────────────
  "arity-of-a-node": {
    outcome: "ARITY",
    make: () => modelProto({ nodes: [node("MatMul", ["x"], ["y"])], inputs: [X], outputs: [Y] }),
  },
  "arity-of-a-call": {
    outcome: "ARITY",
    make: () => calling([functionProto("f0", ["x"], ["y"], [node("Relu", ["x"], ["y"])])], ["x", "x", "x"]),
  },
  "required-input-left-out": {
    outcome: "EMPTY_INPUT",
    make: () => modelProto({ nodes: [node("Where", ["", "x", "x"], ["y"])], inputs: [X], outputs: [Y] }),
  },
  "layer-normalization-empty-bias": {
    outcome: "loads",
    make: () =>
      modelProto({
        nodes: [node("LayerNormalization", ["x", "scale", ""], ["y"], { attrs: { axis: -1 } })],
        initializers: [floats("scale", [4], [1, 1, 1, 1])],
        inputs: [value("x", FLOAT, ["N", 4])],
        outputs: [value("y", FLOAT, ["N", 4])],
      }),
  },
  "depth-to-space-2p32": {
    outcome: "ATTRIBUTE_RANGE",
    make: () => single("DepthToSpace", [], { attrs: { blocksize: 2 ** 32 } }, IMAGE),
  },
  "function-with-outer-name": {
    outcome: "FUNCTION_BODY",
    make: () => calling([functionProto("f0", ["x"], ["y"], [node("Add", ["x", "outside"], ["y"])])]),
  },
  "function-without-output": {
    outcome: "FUNCTION_BODY",
    make: () => calling([functionProto("f0", ["x"], ["y"], [node("Relu", ["x"], ["z"])])]),
  },
  "function-chain-100": { outcome: "loads", make: () => functions(100) },
  "function-chain-3k": { outcome: "FUNCTION_DEPTH", make: () => functions(3000) },
  "function-chain-20k": { outcome: "FUNCTION_DEPTH", make: () => functions(20_000) },
  "function-recursive": {
    outcome: "FUNCTION_RECURSION",
    make: () => calling([functionProto("f0", ["x"], ["y"], [node("f0", ["x"], ["y"], { domain: "local" })])]),
  },
  "if-20": { outcome: "loads", make: () => nestedIf(20) },
  "if-40": { outcome: "FILE_FORMAT", make: () => nestedIf(40) },
  "if-2k": { outcome: "FILE_FORMAT", make: () => nestedIf(2000) },
  "resize-scales-too-long": {
    outcome: "RESIZE_LENGTH",
    make: () =>
      modelProto({
        nodes: [node("Resize", ["x", "", "scales"], ["y"])],
        initializers: [floats("scales", [64], new Array(64).fill(1))],
        inputs: [IMAGE],
        outputs: [Y],
      }),
  },
  "conv-stride-0": { outcome: "ATTRIBUTE_POSITIVE", make: () => conv({ strides: [0, 0] }) },
  "conv-stride-negative": { outcome: "ATTRIBUTE_POSITIVE", make: () => conv({ strides: [-1, -1] }) },
  "conv-dilation-0": { outcome: "ATTRIBUTE_POSITIVE", make: () => conv({ dilations: [0, 0] }) },
  "conv-dilation-2p62": { outcome: "ATTRIBUTE_RANGE", make: () => conv({ dilations: [2n ** 62n, 1] }) },
  "pool-stride-0": { outcome: "ATTRIBUTE_POSITIVE", make: () => pool({ strides: [0, 0] }) },
  "lstm-without-ranks": {
    outcome: "RANK_UNDECLARED",
    make: () =>
      modelProto({
        nodes: [node("LSTM", ["x", "w", "r"], ["y"], { attrs: { hidden_size: 2 } })],
        inputs: ["x", "w", "r"].map((name) => value(name)),
        outputs: [Y],
      }),
  },

  // ── two readings of one file ───────────────────────────────────────────────────────────────
  "two-data-fields": { outcome: "FILE_FORMAT", make: () => weight(twoFields) },
  "two-data-fields-in-a-function": {
    outcome: "FILE_FORMAT",
    make: () =>
      calling([
        functionProto(
          "f0",
          ["x"],
          ["y"],
          [
            node("Constant", [], ["w"], { attrs: { value: { tensor: twoFields } } }),
            node("Add", ["x", "w"], ["y"]),
          ],
        ),
      ]),
  },
  "two-graphs": { outcome: "FILE_FORMAT", make: () => Buffer.concat([valid, message([7, graphProto({})])]) },
  "wrong-wire-type": { outcome: "FILE_FORMAT", make: () => Buffer.concat([valid, message([2, 7])]) },
  "child-longer-than-parent": {
    outcome: "FILE_FORMAT",
    // A graph of two bytes whose name says five, with bytes enough behind it.
    make: () =>
      Buffer.concat([message([1, 10]), varint((7 << 3) | 2), Uint8Array.of(2, 18, 5, 97, 97, 97, 97, 97)]),
  },
  "ort-format": {
    outcome: "FILE_FORMAT",
    make: () => Buffer.concat([Uint8Array.of(24, 0, 0, 0), Buffer.from("ORTM"), Buffer.alloc(64)]),
  },

  // ── what may not be loaded at all ──────────────────────────────────────────────────────────
  "unknown-domain": {
    outcome: "DOMAIN",
    make: () =>
      modelProto({
        nodes: [node("Relu", ["x"], ["y"], { domain: "com.example" })],
        inputs: [X],
        outputs: [Y],
        domains: ["com.example"],
      }),
  },
  "python-op": {
    outcome: "DOMAIN",
    make: () =>
      modelProto({
        nodes: [
          node("PyOp", ["x"], ["y"], {
            domain: "ai.onnx.contrib",
            attrs: { module: "os", compute: "system" },
          }),
        ],
        inputs: [X],
        outputs: [Y],
        domains: ["ai.onnx.contrib"],
      }),
  },
  "python-op-in-the-default-domain": { outcome: "UNKNOWN_OP", make: () => single("PyOp") },
  "ep-context": {
    outcome: "EP_CONTEXT",
    make: () =>
      modelProto({
        nodes: [
          node("EPContext", ["x"], ["y"], {
            domain: "com.microsoft",
            attrs: { ep_cache_context: "/tmp/library.so", embed_mode: 0 },
          }),
        ],
        inputs: [X],
        outputs: [Y],
        domains: ["com.microsoft"],
      }),
  },
  "ir-99": {
    outcome: "IR_VERSION",
    make: () => modelProto({ nodes: [node("Relu", ["x"], ["y"])], inputs: [X], outputs: [Y], irVersion: 99 }),
  },
  "opset-999": {
    outcome: "OPSET",
    make: () => modelProto({ nodes: [node("Relu", ["x"], ["y"])], inputs: [X], outputs: [Y], opset: 999 }),
  },
  "name-of-1MB": {
    outcome: "NAME_LENGTH",
    make: () =>
      modelProto({
        nodes: [node("Relu", ["x"], ["y"], { name: "n".repeat(2 ** 20) })],
        inputs: [X],
        outputs: [Y],
      }),
  },
} as const satisfies Readonly<{ [name: string]: Attack }>;

/** How a run of a model that loads hurts, when nothing but a process boundary and a deadline holds it. */
export interface RunAttack {
  readonly harm: "crash" | "endless" | "memory";
  readonly make: () => Uint8Array;
  /** The request that does the harm: inputs of the Open Inference Protocol. */
  readonly inputs: readonly {
    readonly name: string;
    readonly datatype: string;
    readonly shape: readonly number[];
    readonly data: readonly (number | string | boolean)[];
  }[];
}

const LOOP_BODY = graphProto({
  nodes: [node("Identity", ["going"], ["goes"]), node("Relu", ["state"], ["next"])],
  inputs: [value("turn", INT64, []), value("going", BOOL, []), value("state", FLOAT, [4])],
  outputs: [value("goes", BOOL, []), value("next", FLOAT, [4])],
});

export const RUN_ATTACKS = {
  "divide-least-int32-by-minus-one": {
    harm: "crash",
    make: () =>
      modelProto({
        nodes: [node("Div", ["a", "b"], ["y"])],
        inputs: [value("a", INT32, ["N", 1]), value("b", INT32, ["N", 1])],
        outputs: [value("y", INT32, ["N", 1])],
      }),
    inputs: [
      { name: "a", datatype: "INT32", shape: [1, 1], data: [-(2 ** 31)] },
      { name: "b", datatype: "INT32", shape: [1, 1], data: [-1] },
    ],
  },
  "loop-as-long-as-asked": {
    harm: "endless",
    make: () =>
      modelProto({
        nodes: [node("Loop", ["turns", "", "x"], ["y"], { attrs: { body: { graph: LOOP_BODY } } })],
        inputs: [value("turns", INT64, []), X],
        outputs: [value("y", FLOAT, [4])],
      }),
    inputs: [
      { name: "turns", datatype: "INT64", shape: [], data: [4_000_000_000_000_000] },
      { name: "x", datatype: "FP32", shape: [4], data: [1, 2, 3, 4] },
    ],
  },
  "constant-of-shape-as-large-as-asked": {
    harm: "memory",
    make: () =>
      modelProto({
        nodes: [
          node("ConstantOfShape", ["shape"], ["big"]),
          node("ReduceSum", ["big"], ["y"], { attrs: { keepdims: 0 } }),
        ],
        inputs: [value("shape", INT64, [2])],
        outputs: [value("y", FLOAT, [])],
      }),
    inputs: [{ name: "shape", datatype: "INT64", shape: [2], data: [100_000, 1_000_000] }],
  },
} as const satisfies Readonly<{ [name: string]: RunAttack }>;
