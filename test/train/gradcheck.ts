/** Gradients held against central differences of runs of the model itself. */
import assert from "node:assert/strict";
import { type GraphBuilder, graph, inferTypes, type OnnxModel } from "tenon/onnx";
import type { Engine } from "tenon/runtime";
import { type DType, sizeOf, type Tensor, tensor } from "tenon/tensor";
import { gradients } from "tenon/train";
import { seededRandom } from "../support/random.js";
import type { Case, Draw } from "./gradient-cases.js";

export type Values = Record<string, Tensor>;

/** Runs a model once. */
export async function evaluate(engine: Engine, model: OnnxModel, inputs: Values): Promise<Values> {
  const loaded = await engine.load(model, { calibrate: false, batch: { max: 1 }, allowZero: true });
  try {
    return { ...(await loaded.run(inputs)) };
  } finally {
    await loaded.unload();
  }
}

export const listOf = (value: Tensor): number[] => Array.from(value.data as ArrayLike<number>, Number);

/** Standard normal numbers. */
function normals(count: number, random: () => number): number[] {
  return Array.from(
    { length: count },
    () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()),
  );
}

function drawn(draw: Draw, count: number, random: () => number): number[] {
  if (typeof draw !== "string") return [...draw];
  if (draw === "apart") {
    // All different by 0.1 and away from zero, in random order.
    const values = Array.from({ length: count }, (_, i) => (i - Math.floor(count / 2)) * 0.13 + 0.065);
    for (let i = count - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [values[i], values[j]] = [values[j]!, values[i]!];
    }
    return values.map((value) => value + (random() - 0.5) * 0.02);
  }
  if (draw === "any") return normals(count, random);
  const [low, high] = { positive: [0.4, 2], inside: [-0.8, 0.8], above1: [1.3, 3] }[draw] as [number, number];
  return Array.from({ length: count }, () => low + (high - low) * random());
}

function make(values: readonly number[], shape: readonly number[], dtype: DType): Tensor {
  const items = values.map((value) =>
    dtype === "int64" ? BigInt(value) : dtype === "bool" ? value !== 0 : value,
  );
  return tensor(items as number[], { dtype }).reshape([...shape]);
}

/** What an output has been multiplied by before all were summed. */
export interface Part {
  readonly output: number;
  readonly values: readonly number[];
}

export interface Built {
  readonly model: OnnxModel;
  /** The node's inputs in their order, constants among them; undefined where one is left out. */
  readonly given: readonly (Tensor | undefined)[];
  readonly inputs: Values;
  readonly wrt: string[];
  readonly parts: readonly Part[];
}

/** Σ weight · value, as a scalar named `name`, with the weights as constants. */
function contracted(
  g: GraphBuilder,
  values: readonly { name: string; dtype: DType; shape: readonly number[] }[],
  name: string,
  random: () => number,
): Tensor[] {
  const weights = values.map(({ dtype, shape }) => make(normals(sizeOf(shape), random), shape, dtype));
  const parts = values.map(({ name: value }, i) => {
    const weight = g.initializer(`${name}_weight${i}`, weights[i]!);
    return g.add("ReduceSum", [g.add("Mul", [value, weight])], { keepdims: 0 });
  });
  const sum = parts.length === 1 ? parts[0]! : g.add("Sum", parts);
  g.output(sum, name);
  return weights;
}

/** A model of one node whose outputs are contracted to a loss. */
export function buildCase(each: Case, seed: number): Built {
  const random = seededRandom(seed);
  const float: DType = each.linear || each.rough ? "float32" : "float64";
  const g = graph({ opset: each.opset ?? 20 });
  const inputs: Values = {};
  const wrt: string[] = [];
  const given: (Tensor | undefined)[] = [];
  const names = each.inputs.map((input, i) => {
    if (input === null) return "";
    const {
      shape,
      draw = "any",
      dtype = float,
      constant = false,
    } = "shape" in input ? input : { shape: input };
    const values = make(drawn(draw, sizeOf(shape), random), shape, dtype);
    given[i] = values;
    if (constant) return g.initializer(`c${i}`, values);
    inputs[`x${i}`] = values;
    wrt.push(`x${i}`);
    return g.input(`x${i}`, dtype, shape);
  });
  const count = each.outputs ?? 1;
  const made = g.add(each.op, names, each.attrs ?? {}, { outputs: count, domain: each.domain ?? "" } as {
    outputs: number;
  });
  const outputs = Array.isArray(made) ? made : [made as string];
  const { types } = inferTypes({ ...g.model(), graph: g.graph() });
  const floats = outputs.slice(0, each.used).flatMap((name, output) => {
    const type = types.get(name);
    if (type?.kind !== "tensor" || type.dtype !== float) return [];
    return [{ name, output, dtype: float, shape: each.shape ?? (type.shape as number[]) }];
  });
  const weights = contracted(g, floats, "loss", random);
  const parts = floats.map(({ output }, i) => ({ output, values: listOf(weights[i]!) }));
  return { model: g.model(), given, inputs, wrt, parts };
}

/** A model of the gradients, contracted to one number: its gradients are second derivatives. */
export function contractedGradients(model: OnnxModel, wrt: readonly string[], seed: number): OnnxModel {
  const first = gradients(model, { loss: "loss", wrt, unused: "zero" });
  const random = seededRandom(seed);
  const { types } = inferTypes(first);
  const nodes = [...first.graph.nodes];
  const initializers = new Map(first.graph.initializers);
  const tail = graph({ opset: first.opsets.get("") ?? 20 });
  const values = first.graph.outputs.slice(1).map(({ name }) => {
    const type = types.get(name);
    assert.ok(type?.kind === "tensor" && type.dtype !== null && type.shape !== undefined);
    tail.input(name, type.dtype, type.shape);
    return { name, dtype: type.dtype, shape: type.shape as number[] };
  });
  contracted(tail, values, "second", random);
  const rest = tail.graph();
  const renamed = new Map(
    rest.nodes
      .flatMap((node) => node.outputs)
      .map((name) => [name, name === "second" ? name : `tail_${name}`]),
  );
  for (const node of rest.nodes)
    nodes.push({
      ...node,
      inputs: node.inputs.map((name) => renamed.get(name) ?? name),
      outputs: node.outputs.map((name) => renamed.get(name)!),
    });
  for (const [name, data] of rest.initializers) initializers.set(name, data);
  return { ...first, graph: { ...first.graph, nodes, initializers, outputs: [{ name: "second" }] } };
}

/**
 * Derivatives of `loss` along random directions, by the gradients and by central differences of step `h`. Returns the
 * largest difference, relative to the larger of the derivative, the gradient's norm and 1e-6.
 */
export async function differences(
  engine: Engine,
  model: OnnxModel,
  inputs: Values,
  wrt: readonly string[],
  loss: string,
  h: number,
  seed: number,
): Promise<number> {
  const grads = gradients(model, { loss, wrt, unused: "zero" });
  const found = await evaluate(engine, grads, inputs);
  const outputs = grads.graph.outputs.slice(1).map(({ name }) => name);
  const loaded = await engine.load(model, { calibrate: false, batch: { max: 1 }, allowZero: true });
  const random = seededRandom(seed);
  let worst = 0;
  try {
    const own = listOf((await loaded.run(inputs, { outputs: [loss] }))[loss]!)[0]!;
    const written = listOf(found[loss]!)[0]!;
    assert.ok(
      Math.abs(own - written) < 1e-5 * Math.max(1, Math.abs(own)),
      `the loss becomes ${written}, was ${own}`,
    );
    for (const [i, name] of wrt.entries()) {
      const point = inputs[name]!;
      const grad = listOf(found[outputs[i]!]!);
      assert.deepEqual([...found[outputs[i]!]!.shape], [...point.shape], `shape of the gradient of ${name}`);
      assert.equal(found[outputs[i]!]!.dtype, point.dtype);
      for (let round = 0; round < 3; round++) {
        const direction = normals(point.size, random);
        const at = async (step: number): Promise<number> => {
          const moved = listOf(point).map((value, k) => value + step * direction[k]!);
          const result = await loaded.run(
            { ...inputs, [name]: make(moved, point.shape, point.dtype) },
            { outputs: [loss] },
          );
          return listOf(result[loss]!)[0]!;
        };
        const numeric = ((await at(h)) - (await at(-h))) / (2 * h);
        const analytic = grad.reduce((sum, value, k) => sum + value * direction[k]!, 0);
        const norm = Math.hypot(...grad);
        const error = Math.abs(numeric - analytic) / Math.max(Math.abs(analytic), norm, 1e-6);
        worst = Math.max(worst, Number.isNaN(error) ? Number.POSITIVE_INFINITY : error);
      }
    }
  } finally {
    await loaded.unload();
  }
  return worst;
}
