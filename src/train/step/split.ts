/** Whether a batch may be computed in parts: its loss is a mean or a sum over rows, and the parts fit the model. */
import { type Graph, inferTypes, type OnnxModel } from "../../onnx/index.js";
import type { Tensor } from "../../tensor/index.js";
import type { Label } from "../model/parts.js";
import { type ReadBatch, readBatch } from "./batch.js";

/** Elements of a step's values below which lanes gain less than starting them costs. */
const LEAST_WORK = 1_000_000;
const ADDITIVE: ReadonlySet<string> = new Set(["Add", "Sub", "Neg", "Identity"]);
const SHAPED: ReadonlySet<string> = new Set(["Reshape", "Squeeze", "Unsqueeze"]);

/** How the losses of equal parts of a batch make the loss of the batch. */
export type Joining = "mean" | "sum";

/**
 * How a loss may be computed in parts: `of` tells values that are known to be means over all rows alike, or sums over
 * them; the loss is one of them, or sums and constant multiples of those of one kind. Undefined where that is not known.
 */
export function joiningOf(graph: Graph, loss: string, of: ReadonlyMap<string, Joining>): Joining | undefined {
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const isConstant = (name: string): boolean => graph.initializers.has(name);
  const visit = (name: string, kind: Joining): boolean => {
    const known = of.get(name);
    if (known !== undefined) return known === kind;
    // Constants that are added count once for each part of a sum.
    if (isConstant(name)) return kind === "mean";
    const node = producers.get(name);
    if (node === undefined || node.domain !== "") return false;
    const [first = "", ...rest] = node.inputs;
    if (ADDITIVE.has(node.op)) return [first, ...rest].every((input) => input === "" || visit(input, kind));
    if (SHAPED.has(node.op)) return visit(first, kind);
    if (node.op === "Mul") {
      const factors = node.inputs.filter((input) => !isConstant(input));
      return factors.length === 1 && visit(factors[0]!, kind);
    }
    if (node.op === "Div") return visit(first, kind) && rest.every(isConstant);
    return false;
  };
  return (["mean", "sum"] as const).find((kind) => visit(loss, kind));
}

/** Whether a step computes enough for lanes to be worth a trial: decided by sizes, so that it is always the same. */
export function isLarge(model: OnnxModel): boolean {
  const { types } = inferTypes(model, { conflicts: "note" });
  let elements = 0;
  for (const node of model.graph.nodes)
    for (const name of node.outputs) {
      const type = types.get(name);
      const shape = type?.kind === "tensor" ? type.shape : undefined;
      if (shape?.every((dim) => typeof dim === "number") === true)
        elements += shape.reduce<number>((product, dim) => product * Number(dim), 1);
    }
  return elements >= LEAST_WORK;
}

/** The first of `lanes` equal parts of a batch; undefined where it has none, or the model does not take it. */
export function partOf(
  batch: ReadBatch,
  lanes: number,
  declared: ReadonlyMap<string, Label>,
  inputs: readonly string[],
): ReadBatch | undefined {
  const rows = batch.rows / lanes;
  if (!Number.isInteger(rows) || rows < 1) return undefined;
  const part: Record<string, Tensor> = {};
  for (const [name, value] of batch.tensors) {
    if (value.rank === 0 || value.shape[0] !== batch.rows || value.dtype === "string") return undefined;
    part[name] = value.slice([0, rows]);
  }
  try {
    return readBatch(part, declared, inputs);
  } catch {
    // A size that is a number in the model, say.
    return undefined;
  }
}

/** Whether gradients are the same but for rounding: per 1,000 of the largest of each parameter, or of all. */
export function areClose(found: readonly Float32Array[], expected: readonly Float32Array[]): boolean {
  const largest = (values: Float32Array): number => {
    let most = 0;
    for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i]!));
    return most;
  };
  const sizes = expected.map(largest);
  const all = Math.max(0, ...sizes);
  return expected.every((values, k) => {
    const limit = 1e-3 * Math.max(sizes[k]!, 1e-3 * all);
    const other = found[k]!;
    for (let i = 0; i < values.length; i++) if (!(Math.abs(values[i]! - other[i]!) <= limit)) return false;
    return true;
  });
}
