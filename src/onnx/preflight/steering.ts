/** Steering: sizes that the values of a request decide, told apart from those that its shapes decide. */
import type { Graph, Node } from "../graph.js";
import type { Report } from "./finding.js";

/** The inputs by which an op is told how large its output gets, by place. */
const STEERS: Readonly<Record<string, readonly number[]>> = {
  ConstantOfShape: [0],
  Expand: [1],
  Tile: [1],
  Range: [0, 1, 2],
  Pad: [1],
  Resize: [2, 3],
  Upsample: [1],
  OneHot: [1],
  CenterCropPad: [1],
  AffineGrid: [1],
  Col2Im: [1],
  MaxUnpool: [2],
  HannWindow: [0],
  HammingWindow: [0],
  BlackmanWindow: [0],
  MelWeightMatrix: [0, 1],
};

/** Ops that pass on how large a request is, but not what it says: a request's size has limits of its own. */
const MEASURES: ReadonlySet<string> = new Set(["Shape", "Size"]);

/** The names of one graph whose values come from what a request says; what it does not define is looked up around it. */
export class RequestValues {
  readonly #names: Set<string>;
  readonly #outer: RequestValues | undefined;

  /** A weight that is listed among the inputs, as early versions of the format want it, is a constant all the same. */
  constructor({ inputs, initializers }: Pick<Graph, "inputs" | "initializers">, outer?: RequestValues) {
    this.#names = new Set(inputs.map(({ name }) => name).filter((name) => !initializers.has(name)));
    this.#outer = outer;
  }

  has(name: string): boolean {
    return this.#names.has(name) || (this.#outer?.has(name) ?? false);
  }

  /** Notes what a node makes of such values, and reports one that takes a size from them. */
  follow(node: Node, report: Report, where: (node: Node) => string): void {
    const own = node.domain === "";
    if (own && MEASURES.has(node.op)) return;
    // What a graph inside uses from around it is not among the node's inputs.
    const told = node.inputs.some((name) => this.has(name)) || hasGraph(node);
    if (!told) return;
    for (const output of node.outputs) this.#names.add(output);
    const steering = own && Object.hasOwn(STEERS, node.op) ? STEERS[node.op]! : [];
    const by = steering
      .map((place) => node.inputs[place] ?? "")
      .find((name) => name !== "" && this.has(name));
    if (by !== undefined)
      report.add("SIZE_INPUT_BOUND", where(node), `"${by}" comes from a request's values`);
  }
}

function hasGraph(node: Node): boolean {
  if (node.attrs.size === 0) return false;
  for (const attr of node.attrs.values()) if (attr.kind === "graph" || attr.kind === "graphs") return true;
  return false;
}
