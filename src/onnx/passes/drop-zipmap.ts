/** drop-zipmap: a final ZipMap, which turns scores into a sequence of maps, gives way to the scores themselves. */
import { check } from "../check.js";
import type { Dim, Graph, Model, Node, ValueType } from "../graph.js";
import { withGraph } from "../pass.js";
import { Patch } from "../patch.js";
import { indexOf } from "../uses.js";

/** The oldest opset that ONNX Runtime promises to run. */
const IDENTITY_OPSET = 7;

/** Class labels by output name; column i of the scores belongs to label i. */
export type LabelsByOutput = ReadonlyMap<string, readonly (string | bigint)[]>;

/**
 * Converters of tabular models end a classifier with ZipMap. Each one whose result is only an output of the graph is
 * removed: the output keeps its name and becomes the float32 scores `[N, C]`. Other models come back as they are.
 */
export function dropZipMap(model: Model): { readonly model: Model; readonly labels: LabelsByOutput } {
  const labels = new Map<string, readonly (string | bigint)[]>();
  let { graph } = model;
  for (const node of model.graph.nodes) {
    if (!isFinalZipMap(node, model.graph)) continue;
    const classes = labelsOf(node);
    if (classes === undefined) continue;
    graph = replaceByScores(node, graph, model.opsets, classes.length);
    labels.set(node.outputs[0]!, classes);
  }
  if (labels.size === 0) return { model, labels };
  // A file of ai.onnx.ml ops alone need not import the domain of Identity.
  const opsets = model.opsets.has("")
    ? model.opsets
    : new Map([...model.opsets, ["", IDENTITY_OPSET] as const]);
  const changed = withGraph({ ...model, opsets }, graph);
  check(changed, { after: "drop-zipmap" });
  return { model: changed, labels };
}

function isFinalZipMap(node: Node, graph: Graph): boolean {
  if (node.op !== "ZipMap" || node.domain !== "ai.onnx.ml") return false;
  const [output = ""] = node.outputs;
  return graph.outputs.some(({ name }) => name === output) && !indexOf(graph).consumers.has(output);
}

function labelsOf(node: Node): (string | bigint)[] | undefined {
  const strings = node.attrs.get("classlabels_strings");
  if (strings?.kind === "strings" && strings.value.length > 0) {
    return strings.value.map((label) =>
      typeof label === "string" ? label : Buffer.from(label).toString("latin1"),
    );
  }
  const ints = node.attrs.get("classlabels_int64s");
  return ints?.kind === "ints" && ints.value.length > 0 ? ints.value.map(BigInt) : undefined;
}

/** The scores take over the output's name; an Identity does where they have a name that must stay. */
function replaceByScores(
  zipMap: Node,
  graph: Graph,
  opsets: ReadonlyMap<string, number>,
  classes: number,
): Graph {
  const scores = zipMap.inputs[0]!;
  const output = zipMap.outputs[0]!;
  const { producers } = indexOf(graph);
  const patch = new Patch(graph, opsets);
  patch.removeNode(zipMap);
  if (producers.has(scores) && !graph.outputs.some(({ name }) => name === scores)) {
    patch.renameValue(scores, output);
  } else patch.addNode("Identity", [scores], {}, { outputs: [output], after: zipMap });
  patch.setType(output, scoreType(graph, scores, classes));
  return patch.apply();
}

function scoreType(graph: Graph, scores: string, classes: number): ValueType {
  const declared = graph.valueInfo.get(scores)?.type;
  const rows =
    declared?.kind === "tensor" && declared.shape?.length === 2 ? declared.shape[0]! : rowsOf(graph);
  return { kind: "tensor", dtype: "float32", shape: [rows, classes] };
}

/** The rows that the graph's inputs have, when they agree on a symbol or size. */
function rowsOf(graph: Graph): Dim {
  const rows = new Set(
    graph.inputs.map(({ type }) => (type?.kind === "tensor" ? (type.shape?.[0] ?? null) : null)),
  );
  const [only = null] = rows;
  return rows.size === 1 ? only : null;
}
