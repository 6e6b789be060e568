/** LSTM, GRU and plain RNN as ONNX's recurrent ops, one per layer. */
import type { DType } from "../../tensor/index.js";
import type { Size, TensorValue } from "./arguments.js";
import type { Emitter } from "./emitter.js";
import type { OpHandler, OpRows } from "./handler.js";
import { Unsupported } from "./unsupported.js";

interface Cell {
  readonly op: "LSTM" | "GRU" | "RNN";
  /** Order of ONNX's gates in PyTorch's. */
  readonly gates: readonly number[];
  readonly attrs: Readonly<Record<string, number | readonly string[]>>;
}

const LSTM: Cell = { op: "LSTM", gates: [0, 3, 1, 2], attrs: {} };
const GRU: Cell = { op: "GRU", gates: [1, 0, 2], attrs: { linear_before_reset: 1 } };
const RNN = (activation: string): Cell => ({ op: "RNN", gates: [0], attrs: { activations: [activation] } });

/** Blocks of gates in ONNX's order, with an axis for the direction. */
function gatesOf(c: Emitter, weight: TensorValue, cell: Cell, hidden: number, dtype: DType): string {
  const value = c.as(weight, dtype);
  const ordered =
    cell.gates.length === 1
      ? value
      : c.add(
          "Concat",
          cell.gates.map((gate) => c.slice(value, 0, gate * hidden, (gate + 1) * hidden)),
          { axis: 0 },
        );
  return c.unsqueeze(ordered, 0);
}

const recurrent =
  (cell: Cell): OpHandler =>
  (c, args, { dtype }) => {
    const x = args.tensor("input");
    const states = cell.op === "LSTM" ? args.tensors("hx") : [args.tensor("hx")];
    const params = args.tensors("params");
    const biased = args.boolean("has_biases", true);
    const layers = args.number("num_layers");
    const directions = args.boolean("bidirectional", false) ? 2 : 1;
    const batchFirst = args.boolean("batch_first", false);
    const training = args.boolean("train", false);
    if (args.number("dropout", 0) > 0 && training) throw new Unsupported("dropout in training");
    if (x.rank !== 3) throw new Unsupported("an input without a batch axis");
    const hidden = states[0]!.dims[2];
    if (typeof hidden !== "number") throw new Unsupported("a free hidden size");
    const each = biased ? 4 : 2;
    if (params.length !== layers * directions * each) throw new Unsupported("projections");

    let sequence = batchFirst ? c.transpose(x.value, [1, 0, 2]) : x.value;
    const finals: string[][] = states.map(() => []);
    for (let layer = 0; layer < layers; layer++) {
      const first = layer * directions;
      const ofLayer = (index: number): TensorValue[] =>
        Array.from({ length: directions }, (_, d) => params[(first + d) * each + index]!);
      const joined = (index: number): string => {
        const parts = ofLayer(index).map((weight) => gatesOf(c, weight, cell, hidden, dtype));
        return parts.length === 1 ? parts[0]! : c.add("Concat", parts, { axis: 0 });
      };
      const bias = biased ? c.add("Concat", [joined(2), joined(3)], { axis: 1 }) : undefined;
      const initial = states.map((state) =>
        layers === 1 ? state.value : c.slice(state.value, 0, first, first + directions),
      );
      const [y, ...last] = c.addMany(
        cell.op,
        [sequence, joined(0), joined(1), bias, undefined, ...initial],
        {
          hidden_size: hidden,
          direction: directions === 2 ? "bidirectional" : "forward",
          ...cell.attrs,
          ...(cell.op === "RNN"
            ? { activations: new Array<string>(directions).fill((cell.attrs.activations as string[])[0]!) }
            : {}),
        },
        1 + states.length,
      );
      last.forEach((state, i) => {
        finals[i]!.push(state);
      });
      // [sequence, directions, batch, hidden] to [sequence, batch, directions · hidden].
      const sizes: Size[] = [0, 0, directions * hidden];
      sequence = c.add("Reshape", [c.transpose(y!, [0, 2, 1, 3]), c.ints(sizes as number[])]);
    }
    const output = batchFirst ? c.transpose(sequence, [1, 0, 2]) : sequence;
    return [
      output,
      ...finals.map((parts) => (parts.length === 1 ? parts[0]! : c.add("Concat", parts, { axis: 0 }))),
    ];
  };

/** Ops whose results after the first are states of the sizes of those in their second argument. */
export const GIVES_STATES: ReadonlySet<string> = new Set([
  "aten.lstm.input",
  "aten.gru.input",
  "aten.rnn_tanh.input",
  "aten.rnn_relu.input",
]);

export const RECURRENT: OpRows = {
  "lstm.input": recurrent(LSTM),
  "gru.input": recurrent(GRU),
  "rnn_tanh.input": recurrent(RNN("Tanh")),
  "rnn_relu.input": recurrent(RNN("Relu")),
};
