/** The transformer's graph: from an ONNX file in the folder, else built on its weights; and what goes in and comes out. */
import { TenonError } from "../../base/index.js";
import {
  makeGraph,
  type OnnxModel,
  type Pass,
  readModel,
  upgrade,
  type Value,
  withGraph,
} from "../../onnx/index.js";
import type { Fields } from "../card/files.js";
import { type ModelPlace, modelFile } from "../card/model-files.js";
import { TOKEN_INPUTS, type TokenInput } from "./names.js";

export interface Body {
  readonly model: OnnxModel;
  /** The file that the graph came from. */
  readonly from: string;
}

/** Opset in which the graph's tail is written. */
const OPSET = 20;

/** The body of the folder, in opset 20 or newer; weights named `aside` are the caller's. Throws MODEL_INCOMPLETE and what reading throws. */
export async function bodyOf(
  place: ModelPlace,
  head: "none" | "sequence-classification" | "token-classification" | "masked-lm" = "none",
  aside: readonly string[] = [],
): Promise<Body> {
  const file = modelFile(place);
  if ("weights" in file) {
    const { architectureFromFolder } = await import("../../torch/index.js"); // many files, which a graph spares
    return { model: await architectureFromFolder(place.transformer, { head, aside }), from: file.weights };
  }
  const model = await readModel(file.graph);
  const opset = model.opsets.get("") ?? 0;
  const from = file.graph.slice(place.folder.length + 1);
  return { model: opset < OPSET ? upgrade(model, OPSET) : model, from };
}

/** The inputs of a graph, checked: those that are filled here. Throws MODEL_UNSUPPORTED, naming the other. */
export function tokenInputs(model: OnnxModel): readonly TokenInput[] {
  const names = model.graph.inputs
    .map(({ name }) => name)
    .filter((name) => !model.graph.initializers.has(name));
  const unknown = names.find((name) => !(TOKEN_INPUTS as readonly string[]).includes(name));
  if (unknown === undefined && names.includes("input_ids")) return names as TokenInput[];
  throw new TenonError("MODEL_UNSUPPORTED", {
    problem: "the graph has an input that a text cannot fill",
    given: unknown ?? `no input "input_ids" among ${names.join(", ")}`,
    expected: TOKEN_INPUTS.join(", "),
  });
}

/** The hidden states among the outputs, [batch, sequence, size]. Throws MODEL_UNSUPPORTED. */
export function hiddenStates(
  model: OnnxModel,
  config: Fields,
): { readonly name: string; readonly size: number; readonly half: boolean } {
  const { outputs } = model.graph;
  const found =
    ["last_hidden_state", "token_embeddings", "hidden_states"]
      .map((name) => outputs.find((output) => output.name === name))
      .find((output) => output !== undefined) ?? outputs.find((output) => rankOf(output) === 3);
  const shape = found?.type?.kind === "tensor" ? found.type.shape : undefined;
  const declared = shape?.[2];
  const size = typeof declared === "number" ? declared : (config.hidden_size ?? config.dim ?? config.d_model);
  if (found === undefined || typeof size !== "number") {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: "the graph gives no hidden states of its tokens",
      given: outputs.map(({ name }) => name).join(", "),
      expected: "an output last_hidden_state of float [batch, sequence, size]",
    });
  }
  return { name: found.name, size, half: found.type?.kind === "tensor" && found.type.dtype === "float16" };
}

/** A pass that keeps these outputs alone. */
export function onlyOutputs(...names: readonly string[]): Pass {
  return {
    name: "only-outputs",
    apply: (model) => {
      const outputs = names.flatMap((name) => model.graph.outputs.filter((output) => output.name === name));
      return withGraph(model, makeGraph({ ...model.graph, outputs }));
    },
  };
}

function rankOf({ type }: Value): number | undefined {
  return type?.kind === "tensor" ? type.shape?.length : undefined;
}

/** Rows of the table that token ids look up, the fewest of several; undefined where the graph does not tell. */
export function idRows({ graph }: OnnxModel): number | undefined {
  const ids = new Set(["input_ids"]);
  let rows: number | undefined;
  for (const { op, domain, inputs, outputs, attrs } of graph.nodes) {
    if (domain !== "") continue;
    if ((op === "Cast" || op === "Identity") && ids.has(inputs[0]!)) ids.add(outputs[0]!);
    const axis = attrs.get("axis");
    if (op !== "Gather" || !ids.has(inputs[1]!) || (axis?.kind === "int" && Number(axis.value) !== 0))
      continue;
    const count = graph.initializers.get(inputs[0]!)?.dims[0];
    if (count !== undefined) rows = Math.min(rows ?? count, count);
  }
  return rows;
}
