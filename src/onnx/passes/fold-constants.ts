/** fold-constants: values that are known before any run become constants: shape arithmetic, above all. */
import {
  add,
  byteLengthOf,
  cast,
  concat,
  DTYPES,
  type DType,
  dtypeFromOnnx,
  mul,
  sizeOf,
  sub,
  type Tensor,
  take,
  tensor,
} from "../../tensor/index.js";
import type { Graph, Model, Node, TensorData } from "../graph.js";
import { inferTypes } from "../infer/infer.js";
import { numbersOf, type Small } from "../infer/small.js";
import { type Pass, withGraph } from "../pass.js";
import { Patch } from "../patch.js";
import { readTensor, tensorData } from "../tensor-data.js";
import { removeDead } from "./remove-dead.js";

/** Larger results stay computed: a file would grow for nothing. */
const MOST_BYTES = 2 ** 20;

/**
 * Folds nodes of the main graph whose value follows from the declared shapes and constants, and what they make
 * useless. Arithmetic on whole numbers and rearrangements only, so that no value changes by rounding; results of at
 * most 1 MiB. Outputs of the graph stay computed.
 */
export const foldConstants: Pass = {
  name: "fold-constants",
  apply: (model) => {
    const graph = fold(model);
    return graph === undefined ? model : removeDead.apply(withGraph(model, graph));
  },
};

function fold(model: Model): Graph | undefined {
  const { graph } = model;
  const { types, values } = inferTypes(model, { conflicts: "note" });
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const inputs = new Set(graph.inputs.map(({ name }) => name));
  const constants = new Map([...graph.initializers].filter(([name]) => !inputs.has(name)));
  const patch = new Patch(graph, model.opsets);
  let changed = false;
  for (const node of graph.nodes) {
    const [output = ""] = node.outputs;
    if (node.domain !== "" || node.outputs.length !== 1 || outputs.has(output)) continue;
    const type = types.get(output);
    const known =
      type?.kind === "tensor" && type.dtype !== null ? constantOf(values.get(output), type.dtype) : undefined;
    const data = known ?? evaluated(node, constants, model.opsets.get("") ?? 1);
    if (data === undefined) continue;
    changed = true;
    constants.set(output, data);
    patch.removeNode(node);
    patch.replaceUses(output, patch.addInitializer(`${output}_folded`, data));
  }
  return changed ? patch.apply() : undefined;
}

/** A small value as a weight, when all of it is known and exact. */
function constantOf(value: Small | undefined, dtype: DType): TensorData | undefined {
  const numbers = numbersOf(value);
  const { kind } = DTYPES[dtype];
  if (numbers === undefined || (kind !== "int" && kind !== "uint" && kind !== "bool")) return undefined;
  if (!numbers.every(Number.isSafeInteger)) return undefined;
  const items = numbers.map((number) =>
    kind === "bool" ? number !== 0 : is64Bit(dtype) ? BigInt(number) : number,
  );
  return tensorData(
    tensor(value!.rank === 0 ? items[0]! : items, { dtype }).reshape(value!.rank === 0 ? [] : [items.length]),
  );
}

function is64Bit(dtype: DType): boolean {
  return dtype === "int64" || dtype === "uint64";
}

type Evaluator = (inputs: readonly Tensor[], node: Node) => Tensor | undefined;

function intAttr(node: Node, name: string): number | undefined {
  const attr = node.attrs.get(name);
  return attr?.kind === "int" ? Number(attr.value) : undefined;
}

function intsOf(tensor: Tensor | undefined): number[] | undefined {
  return tensor === undefined ? undefined : Array.from(tensor.contiguous().data as ArrayLike<bigint>, Number);
}

/** Whole numbers only: floats may round differently in a kernel. */
function whole(apply: (a: Tensor, b: Tensor) => Tensor): Evaluator {
  return ([a, b]) => {
    if (a === undefined || b === undefined) return undefined;
    const { kind, bits } = DTYPES[a.dtype];
    return (kind === "int" || kind === "uint") && bits >= 32 ? apply(a, b) : undefined;
  };
}

/** Evaluators of nodes all of whose inputs are constants. */
const EVALUATORS: ReadonlyMap<string, Evaluator> = new Map<string, Evaluator>([
  ["Add", whole((a, b) => add(a, b))],
  ["Sub", whole((a, b) => sub(a, b))],
  ["Mul", whole((a, b) => mul(a, b))],
  [
    "Transpose",
    ([x], node) => {
      const order = node.attrs.get("perm");
      return x?.transpose(
        ...(order?.kind === "ints" ? order.value.map(Number) : [...x.shape.keys()].reverse()),
      );
    },
  ],
  [
    "Reshape",
    ([x, target], node) => {
      if (x === undefined || intAttr(node, "allowzero") === 1) return undefined;
      return x.reshape(intsOf(target)!.map((dim, i) => (dim === 0 ? x.shape[i]! : dim)));
    },
  ],
  [
    "Unsqueeze",
    ([x, axes]) => {
      const given = intsOf(axes);
      if (x === undefined || given === undefined) return undefined;
      const rank = x.rank + given.length;
      const added = new Set(given.map((axis) => (axis < 0 ? axis + rank : axis)));
      const old = [...x.shape];
      return x.reshape(Array.from({ length: rank }, (_, i) => (added.has(i) ? 1 : old.shift()!)));
    },
  ],
  ["Concat", (inputs, node) => concat([...inputs], { axis: intAttr(node, "axis") ?? 0 })],
  [
    "Gather",
    ([x, indices], node) =>
      x === undefined || (indices?.dtype !== "int64" && indices?.dtype !== "int32")
        ? undefined
        : take(x, indices as Tensor<"int64">, { axis: intAttr(node, "axis") ?? 0 }),
  ],
  [
    "Cast",
    ([x], node) => {
      const dtype = dtypeFromOnnx(intAttr(node, "to") ?? 0);
      if (x === undefined || dtype === undefined) return undefined;
      const isWhole = (name: DType): boolean => ["int", "uint", "bool"].includes(DTYPES[name].kind);
      return isWhole(x.dtype) && isWhole(dtype) && DTYPES[dtype].bits >= DTYPES[x.dtype].bits
        ? cast(x, dtype)
        : undefined;
    },
  ],
]);

/** The opset since which axes of Unsqueeze are an input. */
const AXES_AS_INPUT = 13;

function evaluated(
  node: Node,
  constants: ReadonlyMap<string, TensorData>,
  opset: number,
): TensorData | undefined {
  if (node.op === "Constant") {
    const value = node.attrs.get("value");
    return value?.kind === "tensor" ? value.value : undefined;
  }
  const evaluator = EVALUATORS.get(node.op);
  if (evaluator === undefined || (node.op === "Unsqueeze" && opset < AXES_AS_INPUT)) return undefined;
  const data = node.inputs.map((name) => constants.get(name));
  const known = data.filter((each) => each !== undefined);
  if (known.length < data.length || !known.every(isSmall)) return undefined;
  const result = evaluator(
    known.map((each) => readTensor(each)),
    node,
  );
  return result === undefined || result.byteLength > MOST_BYTES ? undefined : tensorData(result);
}

/** In memory, and not so large that its result could not be kept. */
function isSmall({ dtype, dims, payload }: TensorData): boolean {
  return payload.in !== "external" && dtype !== "string" && byteLengthOf(dtype, sizeOf(dims)) <= MOST_BYTES;
}
