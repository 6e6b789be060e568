/** LSTM, GRU and RNN written out step by step: their lengths are known when a step is compiled. */
import { type Lowering, Refusal, type Site } from "./site.js";

/** More nodes than this per layer would take longer to compile than to run. */
const LONGEST = 512;

interface Cell {
  /** Gates stacked in W, R and B. */
  readonly gates: number;
  /** One step: the states before (h, and c where there is one) to those after. */
  step(layer: Layer, input: string, states: readonly string[]): string[];
}

interface Layer {
  readonly s: Site;
  /** Weights [gates·H, H] transposed. */
  readonly recurrent: string;
  readonly recurrentBias: string | undefined;
  readonly hidden: number;
  readonly activations: readonly ((x: string) => string)[];
  /** Peephole weights by gate, LSTM only. */
  readonly peepholes: readonly string[] | undefined;
}

/** The gates of a step, or of weights, side by side along the last axis. */
const gatesOf = ({ s, hidden }: Layer, all: string, axis: number, counts: readonly number[]): string[] =>
  s.ops("Split", [all, s.vector(counts.map((count) => count * hidden))], { axis }, counts.length);

const lstm: Cell = {
  gates: 4,
  step(layer, input, [h, c]) {
    const { s, activations, peepholes } = layer;
    const [f, g, o] = activations as [(x: string) => string, (x: string) => string, (x: string) => string];
    let sum = s.add(input, s.op("MatMul", [h!, layer.recurrent]));
    if (layer.recurrentBias !== undefined) sum = s.add(sum, layer.recurrentBias);
    const peep = (value: string, index: number, state: string): string =>
      peepholes === undefined ? value : s.add(value, s.mul(peepholes[index]!, state));
    const [i0, o0, f0, c0] = gatesOf(layer, sum, 1, [1, 1, 1, 1]) as [string, string, string, string];
    const inputGate = f(peep(i0, 0, c!));
    const forget = f(peep(f0, 2, c!));
    const candidate = g(c0);
    const cell = s.add(s.mul(forget, c!), s.mul(inputGate, candidate));
    const output = f(peep(o0, 1, cell));
    return [s.mul(output, o(cell)), cell];
  },
};

const gru = (linearBeforeReset: boolean): Cell => ({
  gates: 3,
  step(layer, input, [h]) {
    const { s, activations, recurrentBias } = layer;
    const [f, g] = activations as [(x: string) => string, (x: string) => string];
    const plus = (a: string, b: string | undefined): string => (b === undefined ? a : s.add(a, b));
    const [weightBoth, weightCandidate] = gatesOf(layer, layer.recurrent, 1, [2, 1]) as [string, string];
    const [biasBoth, biasCandidate] =
      recurrentBias === undefined ? [] : gatesOf(layer, recurrentBias, 0, [2, 1]);
    const [inputBoth, inputCandidate] = gatesOf(layer, input, 1, [2, 1]) as [string, string];
    const both = f(plus(s.add(inputBoth, s.op("MatMul", [h!, weightBoth])), biasBoth));
    const [update, reset] = gatesOf(layer, both, 1, [1, 1]) as [string, string];
    const inner = linearBeforeReset
      ? s.mul(reset, plus(s.op("MatMul", [h!, weightCandidate]), biasCandidate))
      : plus(s.op("MatMul", [s.mul(reset, h!), weightCandidate]), biasCandidate);
    const candidate = g(s.add(inputCandidate, inner));
    return [s.add(s.mul(s.sub(s.k(1), update), candidate), s.mul(update, h!))];
  },
});

const rnn: Cell = {
  gates: 1,
  step(layer, input, [h]) {
    const { s } = layer;
    let sum = s.add(input, s.op("MatMul", [h!, layer.recurrent]));
    if (layer.recurrentBias !== undefined) sum = s.add(sum, layer.recurrentBias);
    return [layer.activations[0]!(sum)];
  },
};

const ACTIVATIONS = new Set(["Sigmoid", "Tanh", "Relu", "Softsign", "Softplus"]);

function activationsOf(
  s: Site,
  directions: number,
  fallback: readonly string[],
): ((x: string) => string)[][] {
  const attr = s.node.attrs.get("activations");
  const names =
    attr?.kind === "strings" && attr.value.length > 0
      ? attr.value.map((name) => (typeof name === "string" ? name : new TextDecoder().decode(name)))
      : Array.from({ length: directions }, () => fallback).flat();
  const unknown = names.find((name) => !ACTIVATIONS.has(name));
  if (unknown !== undefined) throw new Refusal(`the activation ${unknown} has no rule`);
  return Array.from({ length: directions }, (_, d) =>
    names.slice(d * fallback.length, (d + 1) * fallback.length).map((name) => (x: string) => s.op(name, [x])),
  );
}

function unrolled(cellOf: (s: Site) => Cell, stateCount: number, fallback: readonly string[]): Lowering {
  return (s) => {
    const cell = cellOf(s);
    const [x, w, r, b, lengths] = [s.x(0), s.x(1), s.x(2), s.x(3), s.x(4)];
    if (s.node.attrs.has("clip")) throw new Refusal("clipped cells have no rule");
    if (s.int("input_forget", 0) !== 0) throw new Refusal("coupled gates have no rule");
    const batchFirst = s.int("layout", 0) === 1;
    const length = s.dim(x, batchFirst ? 1 : 0);
    if (length > LONGEST) throw new Refusal(`more than ${LONGEST} steps are not written out`);
    const batch = s.dim(x, batchFirst ? 0 : 1);
    const [directions, , hidden] = s.dims(r) as [number, number, number];
    const direction = s.text("direction", "forward");
    const sequence = batchFirst ? s.transpose(x, [1, 0, 2]) : x;
    const activations = activationsOf(s, directions, fallback);
    const stateInputs = stateCount === 2 ? [s.x(5), s.x(6)] : [s.x(5)];
    const outputs: string[] = [];
    const finals: string[][] = Array.from({ length: stateCount }, () => []);
    for (let d = 0; d < directions; d++) {
      const pick = (name: string, axis = 0): string => s.squeeze(s.slice(name, [d], [d + 1], [axis]), [axis]);
      const backward = direction === "reverse" || d === 1;
      const bias = b === "" ? undefined : pick(b);
      const width = cell.gates * hidden;
      const half = (index: number): string | undefined =>
        bias === undefined ? undefined : s.slice(bias, [index * width], [(index + 1) * width], [0]);
      const inputBias = half(0);
      const projected = s.op("MatMul", [sequence, s.transpose(pick(w), [1, 0])]);
      const inputs = inputBias === undefined ? projected : s.add(projected, inputBias);
      const peepholes =
        stateCount === 2 && s.has(7)
          ? [0, 1, 2].map((i) => s.slice(pick(s.x(7)), [i * hidden], [(i + 1) * hidden], [0]))
          : undefined;
      const layer: Layer = {
        s,
        recurrent: s.transpose(pick(r), [1, 0]),
        recurrentBias: half(1),
        hidden,
        activations: activations[d]!,
        peepholes,
      };
      const zeros = s.op("Expand", [s.k(0), s.vector([batch, hidden])]);
      const first = (name: string): string => (name === "" ? zeros : pick(name, batchFirst ? 1 : 0));
      let states = stateInputs.map(first);
      const steps = new Array<string>(length);
      const each = s.ops("Split", [inputs, s.vector(new Array<number>(length).fill(1))], { axis: 0 }, length);
      for (let i = 0; i < length; i++) {
        const t = backward ? length - 1 - i : i;
        const input = s.squeeze(each[t]!, [0]);
        const next = cell.step(layer, input, states);
        if (lengths === "") {
          states = next;
          steps[t] = next[0]!;
        } else {
          // Beyond a row's length its state stays and its output is zero. Backward, it starts at its last element.
          const alive = s.unsqueeze(s.op("Greater", [lengths, s.k(t, s.dtype(lengths))]), [1]);
          states = next.map((state, k) => s.where(alive, state, states[k]!));
          steps[t] = s.where(alive, next[0]!, s.k(0));
        }
      }
      const stacked = s.op(
        "Concat",
        steps.map((step) => s.unsqueeze(step, [0])),
        { axis: 0 },
      );
      outputs.push(stacked);
      if (lengths !== "") {
        // A row of no steps ends with 0, not with its initial state.
        const some = s.unsqueeze(s.op("Greater", [lengths, s.k(0, s.dtype(lengths))]), [1]);
        states = states.map((state) => s.where(some, state, s.k(0)));
      }
      states.forEach((state, k) => void finals[k]!.push(state));
    }
    // [length, directions, batch, hidden], or [batch, length, directions, hidden].
    const join = (values: readonly string[], axis: number): string =>
      s.op(
        "Concat",
        values.map((value) => s.unsqueeze(value, [axis])),
        { axis },
      );
    const all = join(outputs, 1);
    if (batchFirst) s.as(0, "Transpose", [all], { perm: [2, 0, 1, 3] });
    else s.as(0, "Identity", [all]);
    finals.forEach((values, k) => void s.as(k + 1, "Identity", [join(values, batchFirst ? 1 : 0)]));
  };
}

export const RECURRENT = {
  LSTM: unrolled(() => lstm, 2, ["Sigmoid", "Tanh", "Tanh"]),
  GRU: unrolled((s) => gru(s.int("linear_before_reset", 0) !== 0), 1, ["Sigmoid", "Tanh"]),
  RNN: unrolled(() => rnn, 1, ["Tanh"]),
} satisfies Record<string, Lowering>;
