/** What each opset between 7 and 26 changed in ops that were there before, as rewrites of one node. */
import type { Attr, Node } from "../graph.js";
import type { UpgradeTools } from "./tools.js";

/** The node as the opset wants it. Nodes that it needs before it are added through `tools`. */
type RowRewrite = (node: Node, tools: UpgradeTools) => Node | readonly Node[];

/** Rewrites by opset and op; an op that no row names means the same in the opset as before. */
export const UPGRADE_ROWS: ReadonlyMap<number, ReadonlyMap<string, RowRewrite>> = new Map([
  [
    9,
    rows({
      BatchNormalization: (node, tools) => {
        if (intOf(node, "spatial", 1) !== 1)
          throw tools.refuse(node, "it normalises each position on its own");
        return withoutAttrs(node, "spatial");
      },
      Upsample: (node, tools) => ({
        ...withoutAttrs(node, "scales"),
        inputs: [node.inputs[0]!, tools.floats(floatsOf(node, "scales"))],
      }),
      Scan: (node, tools) => {
        throw tools.refuse(node, "Scan of opset 8 has a batch axis");
      },
    }),
  ],
  [
    10,
    rows({
      Slice: (node, tools) => {
        const axes = intsOf(node, "axes");
        const inputs = [
          node.inputs[0]!,
          tools.ints(intsOf(node, "starts") ?? []),
          tools.ints(intsOf(node, "ends") ?? []),
        ];
        if (axes !== undefined) inputs.push(tools.ints(axes));
        return { ...withoutAttrs(node, "starts", "ends", "axes"), inputs };
      },
      TopK: (node, tools) => ({
        ...withoutAttrs(node, "k"),
        inputs: [node.inputs[0]!, tools.ints([intOf(node, "k", 1)])],
      }),
      Upsample: (node) => ({ ...node, op: "Resize" }),
      Dropout: (node, tools) => {
        if (tools.isUsed(node.outputs[1] ?? ""))
          throw tools.refuse(node, "its mask had another element type");
        return { ...node, outputs: node.outputs.slice(0, 1) };
      },
    }),
  ],
  [
    11,
    rows({
      Clip: (node, tools) => {
        const x = node.inputs[0]!;
        const bound = (name: string): string => {
          const attr = node.attrs.get(name);
          return attr?.kind === "float" ? tools.scalarLike(attr.value, x) : "";
        };
        return { ...withoutAttrs(node, "min", "max"), inputs: [x, bound("min"), bound("max")] };
      },
      Pad: (node, tools) => {
        const value = node.attrs.get("value");
        const x = node.inputs[0]!;
        const inputs = [x, tools.ints(intsOf(node, "pads") ?? [])];
        if (value?.kind === "float" && value.value !== 0) inputs.push(tools.scalarLike(value.value, x));
        return { ...withoutAttrs(node, "pads", "value"), inputs };
      },
      Resize: (node, tools) => ({
        ...withAttrs(
          node,
          tools.attrs("Resize", { coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" }),
        ),
        inputs: [node.inputs[0]!, "", node.inputs[1]!],
      }),
      Scatter: (node) => ({ ...node, op: "ScatterElements" }),
    }),
  ],
  [12, rows({ Dropout: (node) => withoutAttrs(node, "ratio") })],
  [
    13,
    rows({
      Squeeze: axesToInput,
      Unsqueeze: axesToInput,
      ReduceSum: axesToInput,
      Split: (node, tools) => {
        const sizes = intsOf(node, "split");
        if (sizes === undefined) return node;
        return { ...withoutAttrs(node, "split"), inputs: [node.inputs[0]!, tools.ints(sizes)] };
      },
      Softmax: flattened,
      LogSoftmax: flattened,
      Hardmax: flattened,
    }),
  ],
  [
    14,
    rows({
      BatchNormalization: (node, tools) => {
        if (node.outputs.slice(1).some((name) => tools.isUsed(name))) {
          throw tools.refuse(node, "its training outputs are used");
        }
        return { ...node, outputs: node.outputs.slice(0, 1) };
      },
    }),
  ],
  [
    16,
    rows({
      // The default became half_pixel.
      RoiAlign: (node, tools) =>
        withAttrs(node, tools.attrs("RoiAlign", { coordinate_transformation_mode: "output_half_pixel" })),
    }),
  ],
  [
    18,
    rows({
      ...Object.fromEntries(
        ["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare"].map((kind) => [
          `Reduce${kind}`,
          axesToInput,
        ]),
      ),
      Split: (node, tools) =>
        (node.inputs[1] ?? "") !== ""
          ? node
          : withAttrs(node, tools.attrs("Split", { num_outputs: node.outputs.length })),
    }),
  ],
  [
    20,
    rows({
      GridSample: (node, tools) => {
        const mode = node.attrs.get("mode");
        const name = mode?.kind === "string" ? mode.value : "bilinear";
        const renamed = name === "bilinear" ? "linear" : name === "bicubic" ? "cubic" : name;
        return withAttrs(node, tools.attrs("GridSample", { mode: String(renamed) }));
      },
      DFT: (node, tools) => ({
        ...withoutAttrs(node, "axis"),
        inputs: [node.inputs[0]!, node.inputs[1] ?? "", tools.int(intOf(node, "axis", 1))],
      }),
    }),
  ],
  [
    21,
    rows({
      GroupNormalization: (node, tools) => {
        const [x = "", scale = "", bias = ""] = node.inputs;
        const groups = tools.ints([intOf(node, "num_groups", 1)]);
        const channels = tools.add("Shape", [x], { start: 1, end: 2 });
        const target = tools.add("Concat", [groups, tools.add("Div", [channels, groups])], { axis: 0 });
        // One value a group becomes one a channel.
        const perChannel = (name: string): string => {
          const column = tools.add("Unsqueeze", [name, tools.ints([1])]);
          return tools.add("Reshape", [tools.add("Expand", [column, target]), tools.ints([-1])]);
        };
        return { ...node, inputs: [x, perChannel(scale), perChannel(bias)] };
      },
    }),
  ],
]);

function rows(table: Readonly<Record<string, RowRewrite>>): ReadonlyMap<string, RowRewrite> {
  return new Map(Object.entries(table));
}

function axesToInput(node: Node, tools: UpgradeTools): Node {
  const axes = intsOf(node, "axes");
  if (axes === undefined) return node;
  const inputs = axes.length === 0 ? [node.inputs[0]!] : [node.inputs[0]!, tools.ints(axes)];
  return { ...withoutAttrs(node, "axes"), inputs };
}

/** Softmax and its kin saw a matrix, split at the axis; since opset 13 they see one axis. */
function flattened(node: Node, tools: UpgradeTools): Node | Node[] {
  const [x = ""] = node.inputs;
  const axis = intOf(node, "axis", 1);
  const rank = tools.rank(x);
  if (axis === -1 || (rank !== undefined && axis === rank - 1)) {
    return withAttrs(node, tools.attrs(node.op, { axis: -1 }));
  }
  const flat = tools.add("Flatten", [x], { axis });
  const shape = tools.add("Shape", [x]);
  const result = tools.fresh(node.op);
  const inner = withAttrs({ ...node, inputs: [flat], outputs: [result] }, tools.attrs(node.op, { axis: -1 }));
  const back: Node = { ...node, op: "Reshape", name: "", inputs: [result, shape], attrs: new Map() };
  return [inner, back];
}

function intOf(node: Node, name: string, fallback: number): number {
  const attr = node.attrs.get(name);
  return attr?.kind === "int" ? Number(attr.value) : fallback;
}

function intsOf(node: Node, name: string): number[] | undefined {
  const attr = node.attrs.get(name);
  return attr?.kind === "ints" ? attr.value.map(Number) : undefined;
}

function floatsOf(node: Node, name: string): readonly number[] {
  const attr = node.attrs.get(name);
  return attr?.kind === "floats" ? attr.value : [];
}

function withoutAttrs(node: Node, ...names: readonly string[]): Node {
  return { ...node, attrs: new Map([...node.attrs].filter(([name]) => !names.includes(name))) };
}

function withAttrs(node: Node, attrs: ReadonlyMap<string, Attr>): Node {
  return { ...node, attrs: new Map([...node.attrs, ...attrs]) };
}
