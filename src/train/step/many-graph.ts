/** Many steps as one graph: a Scan whose body is forward, backward and update over the flat sections of the memory. */
import { TenonError } from "../../base/index.js";
import {
  appendGraph,
  type Graph,
  graph,
  makeGraph,
  type OnnxModel,
  run,
  type Value,
} from "../../onnx/index.js";
import { type DType, type Tensor, tensorFromStorage } from "../../tensor/index.js";
import type { FlatMemory } from "../memory.js";
import { updateNodes } from "../optimizers/nodes.js";
import { sharedScalars } from "../optimizers/optimizer.js";
import type { NodeWriter } from "../optimizers/writer.js";
import { STRIDE } from "../random.js";
import type { StepGraph } from "./graph.js";
import { KEYS, POSITIONS } from "./modes.js";

/** Sections that the steps move, in the order of inputs and outputs: `p`, then the optimiser's states, range by range. */
export interface Carried {
  readonly section: string;
  readonly range: number;
  readonly input: string;
  readonly output: string;
}

export interface ManyGraph {
  readonly model: OnnxModel;
  readonly ranges: FlatMemory["layout"];
  readonly carried: readonly Carried[];
  /** Inputs of one value a step: the scalars of each range's update, by input. */
  readonly scalars: readonly { readonly input: string; readonly name: string; readonly range: number }[];
  /** Inputs of a batch a step, by entry. */
  readonly batch: ReadonlyMap<string, string>;
  /** Input of keys of dropout, where there are masks. */
  readonly keys: string | undefined;
  readonly losses: string;
}

const LOSSES = "losses";
/** In place of the clip's factor where there is none. */
const UNCLIPPED = "\0unclipped";

type Layout = FlatMemory["layout"];

/** Ranges, those that lie behind each other joined where their rates are the same. */
function mergedRanges({ layout, optimizer }: FlatMemory): Layout {
  const merged: Layout[number][] = [];
  for (const range of layout) {
    const last = merged.at(-1);
    const ratesOf = ({ lrScale = 1, weightDecay = optimizer.weightDecay }: Layout[number]["group"]): string =>
      `${lrScale} ${weightDecay}`;
    if (
      last === undefined ||
      last.at + last.size !== range.at ||
      ratesOf(last.group) !== ratesOf(range.group)
    ) {
      merged.push(range);
      continue;
    }
    const moved = range.parameters.map((each) => ({ ...each, at: each.at + last.size }));
    const parameters = [...last.parameters, ...moved];
    merged[merged.length - 1] = { ...last, size: last.size + range.size, parameters };
  }
  return merged;
}

/** `clipNorm` as the step's. Throws MODEL_UNSUPPORTED for models and optimisers whose steps depend on more. */
export function manyGraph(step: StepGraph, memory: FlatMemory, clipNorm: number | undefined): ManyGraph {
  const { optimizer } = memory;
  const opset = step.model.opsets.get("") ?? 21;
  const { masks = 0, largest = 0, statistics = [] } = step.training ?? {};
  const reason =
    statistics.length > 0
      ? "batch norms move their statistics outside the graph"
      : optimizer.ratios !== undefined || optimizer.matrices !== undefined
        ? `${optimizer.name} looks at whole parameters`
        : undefined;
  if (reason !== undefined) {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: `many steps do not fit one run: ${reason}`,
      do: "run one batch after the other",
    });
  }
  const ranges = mergedRanges(memory);
  const head = graph({ opset });
  const connections: Record<string, string> = {};
  ranges.forEach(({ size, parameters }, r) => {
    const flat = head.input(`carried/p/${r}`, "float32", [size]);
    const ints = (name: string, values: readonly number[]): string =>
      head.initializer(name, tensorFromStorage("int64", [values.length], BigInt64Array.from(values, BigInt)));
    // Parts and the gaps behind them, of which nothing is read.
    const sizes: number[] = [];
    const parts = parameters.map(({ at, size: own }, i) => {
      const next = parameters[i + 1]?.at ?? size;
      sizes.push(own, ...(next > at + own ? [next - at - own] : []));
      return sizes.length - (next > at + own ? 2 : 1);
    });
    const found =
      sizes.length === 1
        ? [flat]
        : head.add(
            "Split",
            [flat, ints(`carried/sizes/${r}`, sizes)],
            { axis: 0 },
            { outputs: sizes.length },
          );
    parameters.forEach(({ name, shape }, i) => {
      const part = found[parts[i]!]!;
      const value =
        shape.length === 1
          ? part
          : head.add("Reshape", [part, ints(`carried/shape/${name}`, shape)], { allowzero: 1 });
      connections[name] = head.output(value, `carried/${name}`);
    });
  });
  const forward = run(head.model(), [appendGraph(step.model, connections)]);

  const tail = graph({ opset });
  const whole1d = tail.initializer("flat", tensorFromStorage("int64", [1], BigInt64Array.of(-1n)));
  const flats = ranges.map(({ size, parameters }) => {
    let end = 0;
    const parts: string[] = [];
    const gap = (length: number): void => {
      if (length > 0) parts.push(tail.initializer(`gap/${parts.length}/${end}/${size}`, zeros(length)));
    };
    for (const { name, at, size: own, shape } of parameters) {
      gap(at - end);
      const gradient = tail.input(step.gradients.get(name)!, "float32", shape);
      parts.push(shape.length === 1 ? gradient : tail.add("Reshape", [gradient, whole1d]));
      end = at + own;
    }
    gap(size - end);
    return parts.length === 1 ? parts[0]! : tail.add("Concat", parts, { axis: 0 });
  });
  // Without a clip the gradient times 1 is the gradient itself.
  const scale = clipNorm === undefined ? undefined : clip(tail, flats, clipNorm);
  const writer: NodeWriter = {
    add: (op, inputs, attrs) =>
      op === "Mul" && inputs[1] === UNCLIPPED ? inputs[0]! : tail.add(op, inputs, attrs),
  };
  const carried: Carried[] = [];
  const scalars: { input: string; name: string; range: number }[] = [];
  const connected: Record<string, string> = Object.fromEntries(
    [...step.gradients.values()].map((name) => [name, name]),
  );
  ranges.forEach(({ size }, r) => {
    const values: Record<string, string> = { g: flats[r]! };
    for (const section of ["p", ...optimizer.state]) {
      const input = `carried/${section}/${r}`;
      values[section] = tail.input(input, "float32", [size]);
      if (section === "p") connected[input] = input;
      carried.push({ section, range: r, input, output: `next/${section}/${r}` });
    }
    for (const name of sharedScalars(optimizer)) {
      if (name === "scale") values[name] = scale ?? UNCLIPPED;
      else {
        const input = `update/${name}/${r}`;
        values[name] = tail.input(input, "float32", []);
        scalars.push({ input, name, range: r });
      }
    }
    const next = updateNodes(writer, optimizer, values);
    for (const section of ["p", ...optimizer.state])
      tail.output(next[section]!, `next/${section}/${r}`, {
        kind: "tensor",
        dtype: "float32",
        shape: [size],
      });
  });
  const whole = run(forward, [appendGraph(tail.model(), connected, { keep: [step.loss] })]);

  const positions = Uint32Array.from({ length: largest }, (_, i) => Math.imul(i, STRIDE) >>> 0);
  const inner = withPositions(
    whole.graph,
    masks > 0 ? tensorFromStorage("uint32", [largest], positions) : undefined,
  );
  const declared = new Map(inner.inputs.map((input) => [input.name, input]));
  const scanned = [...step.batch, ...scalars.map(({ input }) => input), ...(masks > 0 ? [KEYS] : [])];
  const used = [...carried.map(({ input }) => input), ...scanned].map((name) => declared.get(name)!);
  const outputs = [...carried.map(({ output }) => output), step.loss];
  const body = makeGraph({ ...inner, inputs: used, outputs: outputs.map((name) => ({ name })) });

  const outer = graph({ opset });
  const first = carried.map(({ input, range }) =>
    outer.input(`run/${input}`, "float32", [ranges[range]!.size]),
  );
  const rows = scanned.map((name) => {
    const { dtype, shape } = typeOf(declared.get(name)!);
    return outer.input(`run/${name}`, dtype, ["steps", ...shape]);
  });
  const results = outer.add("Scan", [...first, ...rows], { body, num_scan_inputs: scanned.length } as never, {
    outputs: outputs.map((_, i) => `run/result_${i}`),
  });
  const named = [...carried.map(({ output }) => output), LOSSES];
  named.forEach((name, i) => void outer.output(results[i]!, name));
  return {
    model: outer.model(),
    ranges,
    carried: carried.map((each) => ({ ...each, input: `run/${each.input}` })),
    scalars: scalars.map((each) => ({ ...each, input: `run/${each.input}` })),
    batch: new Map(step.batch.map((name) => [name, `run/${name}`])),
    keys: masks > 0 ? `run/${KEYS}` : undefined,
    losses: LOSSES,
  };
}

const zeros = (length: number): Tensor =>
  tensorFromStorage("float32", [length], new Float32Array(length)) as Tensor;

/** min(1, most / (norm + 1e-6)) of all gradients, in double precision. */
function clip(g: ReturnType<typeof graph>, flats: readonly string[], most: number): string {
  const wide = (value: number): string =>
    g.add("Cast", [g.add("Constant", [], { value_float: value })], { to: 11 });
  const squares = flats.map((flat) =>
    g.add("ReduceSumSquare", [g.add("Cast", [flat], { to: 11 })], { keepdims: 0 }),
  );
  const norm = g.add("Sqrt", [squares.reduce((a, b) => g.add("Add", [a, b]))]);
  const ratio = g.add("Div", [wide(most), g.add("Add", [norm, wide(1e-6)])]);
  return g.add("Cast", [g.add("Min", [ratio, wide(1)])], { to: 1 });
}

/** The positions of masks as a constant in place of an input. */
function withPositions(inner: Graph, positions: Tensor | undefined): Graph {
  if (positions === undefined) return inner;
  const g = graph();
  g.initializer(POSITIONS, positions);
  const inputs = inner.inputs.filter(({ name }) => name !== POSITIONS);
  return makeGraph({
    ...inner,
    inputs,
    initializers: new Map([...inner.initializers, ...g.graph().initializers]),
  });
}

function typeOf({ name, type }: Value): { readonly dtype: DType; readonly shape: readonly number[] } {
  if (
    type?.kind === "tensor" &&
    type.dtype !== null &&
    type.shape?.every((dim) => typeof dim === "number") === true
  )
    return { dtype: type.dtype, shape: type.shape as readonly number[] };
  throw new TenonError("MODEL_UNSUPPORTED", { problem: `the size of "${name}" is not known before a run` });
}
