/** finetune: an ONNX model of any origin as a model that trains. */
import { TenonError } from "../../base/index.js";
import {
  infer,
  inlineFunctions,
  makeGraph,
  type OnnxModel,
  type Pass,
  Patch,
  preflight,
  readModel,
  refusal,
  removeDead,
  run,
  specialiseDims,
  untie,
  upgrade,
  withGraph,
} from "../../onnx/index.js";
import { tensorFromStorage } from "../../tensor/index.js";
import type { Defined } from "../model/definition.js";
import { Tape, Var } from "../model/tape.js";
import { TrainableModel } from "../model/trainable.js";
import { adapted, type LoraOptions } from "./lora.js";
import { withNamesOf } from "./names.js";
import { originsOf, parametersOf } from "./parameters.js";

export interface FinetuneOptions {
  /** Sizes of symbolic dims, which the exported model keeps. Dims that are left symbols follow each batch. */
  readonly dims?: Readonly<Record<string, number>>;
  /** Parameters that are trained; default: all (with `lora` or `head`: none but the new ones). */
  readonly train?: readonly (RegExp | string)[];
  /** Parameters that are not trained, whatever `train` says. */
  readonly freeze?: readonly (RegExp | string)[];
  /** Low-rank changes beside frozen weights. */
  readonly lora?: LoraOptions;
  /** Makes new outputs from those of the model; what led only to the old ones goes. */
  readonly head?: (t: Tape, outputs: Readonly<Record<string, Var>>) => Defined;
  /** A file of weights from which folded constants (`onnx::MatMul_123`) get their names back. */
  readonly names?: string;
  /** Rate of dropout behind each Softmax and each activation of a feed-forward layer, which exports for inference lack. */
  readonly dropout?: number;
  /** BatchNormalization: with its statistics as they are (default), or with those of each batch, which move them. */
  readonly batchNorm?: "frozen" | "batch";
  /** Of new weights; default 0. */
  readonly seed?: number;
}

/** Gradient rules and layers are written for this opset and later ones. */
const LEAST_OPSET = 21;

const matches = (patterns: readonly (RegExp | string)[], name: string): boolean =>
  patterns.some((pattern) => (typeof pattern === "string" ? pattern === name : pattern.test(name)));

/**
 * Opens a model (a path, bytes, or a model of `tenon/onnx` and `tenon/torch`) for training: opset raised, functions
 * written out, weights that an exporter tied for being equal parted. Its float32 weights are trained but for those that
 * are frozen; constants that are no weights (masks, tables, epsilons) stay.
 *
 * Throws what `readModel` throws, MODEL_INVALID or MODEL_UNSUPPORTED for what preflight refuses, and USAGE for patterns
 * that match nothing. What has no gradient is told at the first step.
 */
export async function finetune(
  source: string | Uint8Array | OnnxModel,
  options: FinetuneOptions = {},
): Promise<TrainableModel> {
  const {
    seed = 0,
    dims = {},
    lora,
    head,
    train,
    freeze = [],
    names,
    dropout,
    batchNorm = "frozen",
  } = options;
  const read = typeof source === "string" || source instanceof Uint8Array ? await readModel(source) : source;
  const refused = refusal(preflight(read));
  if (refused !== undefined) throw refused;
  const raised = (read.opsets.get("") ?? 0) < LEAST_OPSET ? upgrade(read, LEAST_OPSET) : read;
  const sizes: Pass[] = Object.keys(dims).length === 0 ? [] : [specialiseDims(dims)];
  const opened = run(raised, [inlineFunctions(), untie, ...sizes]);
  let model = infer(names === undefined ? opened : await withNamesOf(opened, names), { conflicts: "note" });
  const modal = batchNorm === "batch" ? outputsOf(model, "BatchNormalization") : [];
  if (dropout !== undefined) {
    const dropped = withDropout(model, dropout);
    model = dropped.model;
    modal.push(...dropped.modal);
  }
  const known = parametersOf(model);
  for (const pattern of [...(train ?? []), ...freeze]) {
    if (known.some((name) => matches([pattern], name))) continue;
    throw new TenonError("USAGE", {
      problem: "no parameter of the model matches",
      given: String(pattern),
      expected: known.slice(0, 8).join(", ") + (known.length > 8 ? ` and ${known.length - 8} more` : ""),
    });
  }
  const chosen = train ?? (lora === undefined && head === undefined ? [/^/] : []);
  const trained = known.filter((name) => matches(chosen, name) && !matches(freeze, name));
  const added: string[] = [];
  const changes = lora === undefined ? undefined : adapted(model, lora, seed);
  let plain = model;
  if (changes !== undefined) {
    model = changes.model;
    added.push(...changes.changes.flatMap(({ a, b }) => [a, b]));
  }
  const headed = head === undefined ? undefined : withHead(model, head, seed);
  if (headed !== undefined) {
    model = headed.model;
    added.push(...headed.trainable);
    modal.push(...headed.modal);
    if (changes !== undefined) plain = withHead(plain, head!, seed).model;
  }
  const trainable = [...trained, ...added].filter((name) => model.graph.initializers.has(name));
  if (trainable.length === 0)
    throw new TenonError("USAGE", {
      problem: "no parameter is left to train",
      do: "freeze less, or add a head or lora",
    });
  return new TrainableModel({
    onnx: model,
    trainable: [...new Set(trainable)],
    modal,
    stopped: headed?.stopped ?? [],
    mixesRows: headed?.mixesRows ?? false,
    labels: new Map(),
    ...(changes === undefined ? {} : { lora: { changes: changes.changes, plain } }),
  });
}

function outputsOf({ graph }: OnnxModel, op: string): string[] {
  return graph.nodes.filter((node) => node.op === op && node.domain === "").map((node) => node.outputs[0]!);
}

/** Outputs made by the head, in place of the model's. */
function withHead(
  model: OnnxModel,
  head: NonNullable<FinetuneOptions["head"]>,
  seed: number,
): { readonly model: OnnxModel } & Tape["marks"] {
  const tape = new Tape(model, seed);
  const made = head(
    tape,
    Object.fromEntries(model.graph.outputs.map(({ name }) => [name, tape.value(name)])),
  );
  const headed = tape.model(made instanceof Var ? { output: made } : made);
  return { model: run(headed, [removeDead]), ...tape.marks };
}

const ACTIVATIONS: ReadonlySet<string> = new Set(["Gelu", "Relu", "Erf"]);

/** A Dropout behind each Softmax that a product takes, and behind each product that takes an activation's value. */
function withDropout(
  model: OnnxModel,
  rate: number,
): { readonly model: OnnxModel; readonly modal: readonly string[] } {
  if (!(rate > 0 && rate < 1))
    throw new TenonError("USAGE", {
      problem: "dropout",
      given: String(rate),
      expected: "above 0 and below 1",
    });
  const { graph } = model;
  const origins = originsOf(graph);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const patch = new Patch(graph, model.opsets);
  const ratio = patch.addInitializer("dropout_rate", tensorFromStorage("float32", [], Float32Array.of(rate)));
  const activated = valuesBehind(model, ACTIVATIONS);
  const modal: string[] = [];
  for (const node of graph.nodes) {
    const y = node.outputs[0]!;
    const second =
      node.op === "MatMul" && activated.has(node.inputs[0]!) && origins.has(node.inputs[1] ?? "");
    if (outputs.has(y) || !(node.op === "Softmax" || second)) continue;
    const [dropped] = patch.addNode("Dropout", [y, ratio], {}, { after: node });
    patch.replaceUses(y, dropped!);
    modal.push(dropped!);
  }
  if (modal.length === 0)
    throw new TenonError("USAGE", {
      problem: "the model has no Softmax and no feed-forward layer to put dropout behind",
    });
  return { model: withGraph(model, makeGraph(patch.apply())), modal };
}

/** What activations give, also after elementwise ops (an erf Gelu is five of them). */
function valuesBehind({ graph }: OnnxModel, ops: ReadonlySet<string>): ReadonlySet<string> {
  const behind = new Set<string>();
  for (const node of graph.nodes) {
    const elementwise = node.op === "Mul" || node.op === "Add";
    if (ops.has(node.op) || (elementwise && node.inputs.some((name) => behind.has(name))))
      behind.add(node.outputs[0]!);
  }
  return behind;
}
