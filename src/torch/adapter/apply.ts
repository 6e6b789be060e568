/** mergeAdapter and adapterAsInputs: a LoRA adapter in a graph, as constants or as what each run is given. */
import {
  check,
  makeGraph,
  type Node,
  type OnnxModel,
  Patch,
  type TensorData,
  type Value,
  withGraph,
} from "../../onnx/index.js";
import { cast, mul, type Tensor, tensor } from "../../tensor/index.js";
import { damaged, quoted, unsupported } from "../invalid.js";
import { materialize, type TensorRef } from "../tensor-ref.js";
import { tensorDataOf } from "../weight-data.js";
import { listed, sameWeight } from "../weight-names.js";
import type { Adapter, LowRank } from "./open.js";

/** Numbers of TensorProto.DataType. */
const TYPE = { float32: 1, float16: 10, bfloat16: 16, float64: 11 } as const;

interface Target {
  readonly change: LowRank;
  readonly weight: string;
  readonly data: TensorData;
  readonly users: readonly Node[];
}

/**
 * The graph with an adapter merged into its weights. The sums are nodes over the weights where they lie, in the base's
 * file and the adapter's; a runtime folds them once, when it compiles the graph. Weights that the adapter holds whole
 * replace the graph's. Throws FILE_INVALID that names every module that the graph does not have or has in another shape,
 * and MODEL_UNSUPPORTED for a weight that an embedding and a decoder share.
 */
export function mergeAdapter(model: OnnxModel, adapter: Adapter): OnnxModel {
  const patch = new Patch(model.graph, model.opsets);
  for (const { change, weight, data, users } of targetsOf(model, adapter)) {
    const [a, b] = halves(patch, change);
    const product = patch.addNode("MatMul", [b, a])[0]!;
    const turned =
      change.kind === "linear" ? product : patch.addNode("Transpose", [product], { perm: [1, 0] })[0]!;
    const scale = patch.addInitializer(`${weight}.lora_scale`, tensor(change.scale, { dtype: "float32" }));
    const delta = patch.addNode("Mul", [turned, scale])[0]!;
    const sum = (value: string): string => patch.addNode("Add", [value, delta])[0]!;
    const widening = users.filter(isWidening);
    if (data.dtype === "float32") patch.replaceUses(weight, sum(weight));
    else if (widening.length === users.length)
      for (const { outputs } of widening) patch.replaceUses(outputs[0]!, sum(outputs[0]!));
    else {
      const wide = patch.addNode("Cast", [weight], { to: TYPE.float32 })[0]!;
      patch.replaceUses(weight, patch.addNode("Cast", [sum(wide)], { to: typeOf(data) })[0]!);
    }
  }
  replaceWhole(model, patch, adapter);
  return checked(model, patch, [], "merge-adapter");
}

/** An adapter beside the graph that takes it. */
export interface AdapterInputs {
  /** Takes `MODULE.lora_A` [rank, in] and `MODULE.lora_B` [out, rank] beside its own inputs, of any rank. */
  readonly model: OnnxModel;
  /** This adapter's values of them; the scale is in `lora_B`. Zeros switch a module's change off. */
  readonly inputs: Readonly<Record<string, Tensor>>;
}

/**
 * The graph with inputs for adapters of these modules, so that each run can take another one. The base is computed as it
 * is, and the low-rank part added behind it. Linear layers only. Throws as `mergeAdapter` does.
 */
export function adapterAsInputs(model: OnnxModel, adapter: Adapter): AdapterInputs {
  const patch = new Patch(model.graph, model.opsets);
  const declared: Value[] = [];
  const inputs: Record<string, Tensor> = {};
  const outputs = new Set(model.graph.outputs.map(({ name }) => name));
  targetsOf(model, adapter).forEach(({ change, weight, data, users }, index) => {
    const { module, a, b, scale } = change;
    if (change.kind !== "linear")
      throw unsupported(`an adapter of the embedding ${quoted(module)} cannot be an input`, {
        do: "merge the adapter",
      });
    const path = weight.replace(/\.weight$/, "");
    const [out, size] = data.dims as [number, number];
    const names = [`${path}.lora_A`, `${path}.lora_B`] as const;
    const rank = `lora_rank_${index}`;
    declared.push(floats(names[0], [rank, size]), floats(names[1], [out, rank]));
    inputs[names[0]] = float32(a);
    inputs[names[1]] = mul(float32(b), scale);
    const products = users.flatMap((user) => productsOf(model.graph.nodes, user, weight));
    if (products.length === 0 || products.some(({ node }) => outputs.has(node.outputs[0]!)))
      throw unsupported(
        `the graph uses the weight of ${quoted(module)} in a way that an adapter cannot follow`,
        {
          do: "merge the adapter",
        },
      );
    const [turnedA, turnedB] = names.map((name) => {
      const turned = patch.addNode("Transpose", [name], { perm: [1, 0] })[0]!;
      return data.dtype === "float32" || users.every(isWidening)
        ? turned
        : patch.addNode("Cast", [turned], { to: typeOf(data) })[0]!;
    });
    for (const { node, x } of products) {
      const low = patch.addNode("MatMul", [x, turnedA!])[0]!;
      const y = node.outputs[0]!;
      patch.replaceUses(y, patch.addNode("Add", [y, patch.addNode("MatMul", [low, turnedB!])[0]!])[0]!);
    }
  });
  replaceWhole(model, patch, adapter);
  return { model: checked(model, patch, declared, "adapter-as-inputs"), inputs };
}

function isWidening(node: Node): boolean {
  const to = node.attrs.get("to");
  return node.op === "Cast" && to?.kind === "int" && Number(to.value) === TYPE.float32;
}

function typeOf({ dtype }: TensorData): number {
  return TYPE[dtype as keyof typeof TYPE];
}

/** Products with a weight, directly or through the Cast and Transpose that stand before it. */
function productsOf(nodes: readonly Node[], user: Node, value: string): { node: Node; x: string }[] {
  if (user.op === "Cast" || user.op === "Transpose")
    return nodes
      .filter((node) => node.inputs.includes(user.outputs[0]!))
      .flatMap((node) => productsOf(nodes, node, user.outputs[0]!));
  const follows =
    user.inputs[1] === value && (user.op === "MatMul" || (user.op === "Gemm" && plainGemm(user)));
  return follows ? [{ node: user, x: user.inputs[0]! }] : [];
}

/** `x Wᵀ + b` with nothing scaled or turned but the weight. */
function plainGemm({ attrs }: Node): boolean {
  const number = (name: string, fallback: number): number => {
    const attr = attrs.get(name);
    return attr?.kind === "float" || attr?.kind === "int" ? Number(attr.value) : fallback;
  };
  return number("alpha", 1) === 1 && number("transA", 0) === 0 && number("transB", 0) === 1;
}

/** The weights that the adapter changes, with those that use them. Throws for all that do not fit at once. */
function targetsOf(model: OnnxModel, adapter: Adapter): Target[] {
  const { initializers, nodes } = model.graph;
  const names = new Set(initializers.keys());
  const problems: string[] = [];
  const targets: Target[] = [];
  for (const change of adapter.changes) {
    const weight = sameWeight(`${change.module}.weight`, names);
    if (weight === undefined) {
      problems.push(`${change.module} is not in the graph`);
      continue;
    }
    const data = initializers.get(weight)!;
    const [rows, columns] = [change.b.shape[0]!, change.a.shape[1]!];
    const shape = change.kind === "linear" ? [rows, columns] : [columns, rows];
    if (data.dims.join() !== shape.join()) {
      problems.push(`${weight} is [${data.dims.join(", ")}], the adapter is for [${shape.join(", ")}]`);
      continue;
    }
    const users = nodes.filter((node) => node.inputs.includes(weight));
    refuseShared(change, weight, users, nodes);
    targets.push({ change, weight, data, users });
  }
  for (const [name, ref] of adapter.replaced) {
    const weight = sameWeight(name, names);
    const dims = weight === undefined ? undefined : initializers.get(weight)!.dims;
    if (dims === undefined) problems.push(`${name} is not in the graph`);
    else if (dims.join() !== ref.shape.join())
      problems.push(`${weight} is [${dims.join(", ")}], the adapter's is [${ref.shape.join(", ")}]`);
  }
  if (problems.length === 0) return targets;
  throw damaged("the adapter does not fit the graph", {
    given: listed(problems, "; "),
    do: "take the model that the adapter was trained on, with the head that it was trained with",
  });
}

/** Rows of an embedding are looked up; a decoder that is tied to it multiplies. An adapter is for one of the two. */
function refuseShared(change: LowRank, weight: string, users: readonly Node[], nodes: readonly Node[]): void {
  const last = users.flatMap((user) =>
    user.op === "Cast" ? nodes.filter((node) => node.inputs.includes(user.outputs[0]!)) : [user],
  );
  const lookups = last.filter(({ op }) => op === "Gather").length;
  if (lookups === (change.kind === "embedding" ? last.length : 0)) return;
  throw unsupported(
    `${quoted(weight)} serves as embedding and as decoder, and the adapter changes one of them`,
    {
      given: `an adapter of the ${change.kind === "embedding" ? "embedding" : "linear layer"} ${quoted(change.module)}`,
    },
  );
}

/** Both halves as constants, in float32. */
function halves(patch: Patch, { module, a, b }: LowRank): [string, string] {
  const [first, second] = [a, b].map((ref, index) => {
    const value = patch.addInitializer(`${module}.lora_${index === 0 ? "A" : "B"}`, tensorDataOf(ref));
    return ref.dtype === "float32" ? value : patch.addNode("Cast", [value], { to: TYPE.float32 })[0]!;
  });
  return [first!, second!];
}

function replaceWhole(model: OnnxModel, patch: Patch, adapter: Adapter): void {
  const { initializers } = model.graph;
  const names = new Set(initializers.keys());
  for (const [name, ref] of adapter.replaced) {
    const weight = sameWeight(name, names)!;
    const old = initializers.get(weight)!;
    const value = patch.addInitializer(`${weight}.adapter`, tensorDataOf(ref));
    const same = ref.dtype === old.dtype;
    patch.replaceUses(weight, same ? value : patch.addNode("Cast", [value], { to: typeOf(old) })[0]!);
    patch.removeInitializer(weight);
  }
}

function checked(model: OnnxModel, patch: Patch, inputs: readonly Value[], after: string): OnnxModel {
  const graph = patch.apply();
  const changed = withGraph(model, makeGraph({ ...graph, inputs: [...graph.inputs, ...inputs] }));
  check(changed, { after });
  return changed;
}

function floats(name: string, shape: readonly (number | string)[]): Value {
  return { name, type: { kind: "tensor", dtype: "float32", shape } };
}

function float32(ref: TensorRef): Tensor<"float32"> {
  return cast(materialize(ref), "float32");
}
