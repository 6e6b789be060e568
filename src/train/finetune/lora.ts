/** LoRA (Hu et al. 2021): low-rank changes beside frozen weights, merged into them or saved as PEFT does. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile, TenonError } from "../../base/index.js";
import {
  type OnnxModel,
  Patch,
  readTensor,
  type TensorData,
  tensorData,
  withGraph,
  withWeights,
} from "../../onnx/index.js";
import { tensorFromStorage } from "../../tensor/index.js";
import { saveSafetensors } from "../../torch/index.js";
import { kaimingUniform } from "../model/initializers.js";
import type { LoraChange, WeightStore } from "../model/parts.js";
import { keyOf } from "../random.js";

export interface LoraOptions {
  /** Width of the change, 1 or more. */
  readonly rank: number;
  /** The change counts alpha / rank; default: the rank. */
  readonly alpha?: number;
  /** Weights of rank 2 that MatMul and Gemm multiply by; default: all of them. */
  readonly match?: RegExp;
}

interface Adapted {
  readonly model: OnnxModel;
  readonly changes: readonly LoraChange[];
}

/** y = x·W becomes x·W + (alpha / rank) · (x·A)·B, A as He et al. initialise it and B zero. Throws USAGE when no weight matches. */
export function adapted(model: OnnxModel, options: LoraOptions, seed: number): Adapted {
  const { rank, alpha = rank, match = /./ } = options;
  if (!(Number.isInteger(rank) && rank >= 1))
    throw new TenonError("USAGE", {
      problem: "lora.rank",
      given: String(rank),
      expected: "a whole number, 1 or more",
    });
  if (!(Number.isFinite(alpha) && alpha > 0))
    throw new TenonError("USAGE", {
      problem: "lora.alpha",
      given: String(alpha),
      expected: "a number above 0",
    });
  const { graph } = model;
  const turned = new Map(
    graph.nodes.filter(({ op }) => op === "Transpose").map((node) => [node.outputs[0]!, node.inputs[0]!]),
  );
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const patch = new Patch(graph, model.opsets);
  const factor = patch.addInitializer(
    "lora_scale",
    tensorFromStorage("float32", [], Float32Array.of(alpha / rank)),
  );
  const changes = new Map<string, LoraChange>();
  for (const node of graph.nodes) {
    if (node.domain !== "" || (node.op !== "MatMul" && node.op !== "Gemm")) continue;
    const given = node.inputs[1]!;
    const name = graph.initializers.has(given) ? given : (turned.get(given) ?? "");
    const data = graph.initializers.get(name);
    if (data?.dtype !== "float32" || data.dims.length !== 2 || !match.test(name)) continue;
    if (intOf(node.attrs.get("transA")) === 1) continue;
    const transposed = (name !== given) !== (intOf(node.attrs.get("transB")) === 1);
    const [width, features] = (transposed ? [...data.dims].reverse() : data.dims) as [number, number];
    let change = changes.get(name);
    if (change === undefined) {
      const stem = name.replace(/\.weight$/, "");
      const a = new Float32Array(width * rank);
      // PyTorch's kaiming_uniform with a = √5, which PEFT takes for A.
      kaimingUniform()(a, keyOf(seed, changes.size), { in: width, out: rank });
      change = {
        weight: name,
        a: patch.addInitializer(`${stem}.lora_A.weight`, tensorFromStorage("float32", [width, rank], a)),
        b: patch.addInitializer(
          `${stem}.lora_B.weight`,
          tensorFromStorage("float32", [rank, features], new Float32Array(rank * features)),
        ),
        scale: alpha / rank,
        rank,
        alpha,
        transposed,
      };
      changes.set(name, change);
    }
    const [inner] = patch.addNode("MatMul", [node.inputs[0]!, change.a], {}, { after: node });
    const [outer] = patch.addNode("MatMul", [inner!, change.b]);
    const [scaled] = patch.addNode("Mul", [outer!, factor]);
    const y = node.outputs[0]!;
    if (outputs.has(y)) {
      // The output keeps its name; what it was before gets another.
      const [before] = patch.addNode(node.op, node.inputs, Object.fromEntries(node.attrs), {
        name: node.name,
      });
      patch.removeNode(node);
      patch.addNode("Add", [before!, scaled!], {}, { outputs: [y] });
      continue;
    }
    const [sum] = patch.addNode("Add", [y, scaled!]);
    patch.replaceUses(y, sum!);
  }
  if (changes.size === 0)
    throw new TenonError("USAGE", {
      problem: "no weight of a MatMul or Gemm matches lora.match",
      given: String(match),
    });
  return { model: withGraph(model, patch.apply()), changes: [...changes.values()] };
}

function intOf(attr: { readonly kind: string; readonly value?: unknown } | undefined): number {
  return attr?.kind === "int" ? Number(attr.value) : 0;
}

/** The plain model with alpha / rank · A·B added to each changed weight, and all other values of now. */
export function merged(store: WeightStore): OnnxModel {
  const { lora } = store.parts;
  if (lora === undefined)
    throw new TenonError("USAGE", {
      problem: "the model has no LoRA weights to merge",
      do: "export it with toOnnx",
    });
  const weights = new Map<string, TensorData>();
  const now = store.toOnnx().graph.initializers;
  for (const name of lora.plain.graph.initializers.keys()) {
    const data = now.get(name);
    if (data !== undefined && data !== lora.plain.graph.initializers.get(name)) weights.set(name, data);
  }
  for (const change of lora.changes) {
    const data = now.get(change.weight)!;
    const values = (
      readTensor(data, { maxBytes: Number.POSITIVE_INFINITY }).data as unknown as Float32Array
    ).slice();
    addProduct(values, store.values(change.a), store.values(change.b), change);
    weights.set(change.weight, tensorData(tensorFromStorage("float32", data.dims, values), change.weight));
  }
  return withWeights(lora.plain, weights);
}

function addProduct(
  into: Float32Array,
  a: Float32Array,
  b: Float32Array,
  { rank, scale, transposed }: LoraChange,
): void {
  const [width, features] = [a.length / rank, b.length / rank];
  for (let i = 0; i < width; i++) {
    for (let j = 0; j < features; j++) {
      let sum = 0;
      for (let k = 0; k < rank; k++) sum += a[i * rank + k]! * b[k * features + j]!;
      const at = transposed ? j * width + i : i * features + j;
      into[at] = into[at]! + scale * sum;
    }
  }
}

/** `adapter_model.safetensors` and `adapter_config.json` in a folder, as PEFT reads them. */
export async function saveAdapter(store: WeightStore, folder: string): Promise<void> {
  const { lora } = store.parts;
  if (lora === undefined) throw new TenonError("USAGE", { problem: "the model has no LoRA weights to save" });
  await mkdir(folder, { recursive: true });
  const tensors = lora.changes.flatMap(({ weight, a, b, rank }) => {
    const stem = `base_model.model.${weight.replace(/\.weight$/, "")}`;
    const turned = (name: string, rows: number): ReturnType<typeof tensorFromStorage> => {
      const values = store.values(name);
      return tensorFromStorage("float32", [rows, values.length / rows], values.slice())
        .transpose()
        .contiguous();
    };
    return [
      [`${stem}.lora_A.weight`, turned(a, store.values(a).length / rank)] as const,
      [`${stem}.lora_B.weight`, turned(b, rank)] as const,
    ];
  });
  await saveSafetensors(join(folder, "adapter_model.safetensors"), new Map(tensors));
  const [first] = lora.changes;
  const config = {
    peft_type: "LORA",
    base_model_name_or_path: null,
    r: first!.rank,
    lora_alpha: first!.alpha,
    lora_dropout: 0,
    bias: "none",
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    target_modules: lora.changes.map(({ weight }) => weight.replace(/\.weight$/, "")),
    task_type: null,
  };
  await replaceFile(join(folder, "adapter_config.json"), [
    Buffer.from(`${JSON.stringify(config, null, 2)}\n`),
  ]);
}
