/** Convolutions and their transposes. */
import type { Arguments, TensorValue } from "./arguments.js";
import type { Emitter } from "./emitter.js";
import type { OpHandler, OpRows } from "./handler.js";
import { batched, each } from "./spatial.js";
import { Unsupported } from "./unsupported.js";

interface ConvOptions {
  readonly stride: readonly number[];
  readonly pads: readonly number[];
  readonly dilation: readonly number[];
  readonly group: number;
  readonly outputPadding?: readonly number[];
}

function convolve(
  c: Emitter,
  op: "Conv" | "ConvTranspose",
  inputs: { x: TensorValue; weight: TensorValue; bias: TensorValue | undefined },
  options: ConvOptions,
): string {
  const { x, weight, bias } = inputs;
  // PyTorch takes up to the dilation as well.
  if (options.outputPadding?.some((pad, i) => pad >= options.stride[i]!))
    throw new Unsupported("output_padding not below stride");
  return batched(c, x, weight.rank, (value) =>
    c.add(op, [value, weight.value, bias?.value], {
      kernel_shape: weight.dims.slice(2) as number[],
      strides: [...options.stride],
      pads: [...options.pads],
      dilations: [...options.dilation],
      group: options.group,
      output_padding: options.outputPadding === undefined ? undefined : [...options.outputPadding],
    }),
  );
}

const operands = (args: Arguments) => ({
  x: args.tensor("input"),
  weight: args.tensor("weight"),
  bias: args.optionalTensor("bias"),
});

const conv =
  (spatial: number): OpHandler =>
  (c, args) => {
    const inputs = operands(args);
    const padding = each(args.ints("padding", [0]), spatial);
    return convolve(c, "Conv", inputs, {
      stride: each(args.ints("stride", [1]), spatial),
      pads: [...padding, ...padding],
      dilation: each(args.ints("dilation", [1]), spatial),
      group: args.number("groups", 1),
    });
  };

/** `padding` is a word. */
const convPadding =
  (spatial: number): OpHandler =>
  (c, args) => {
    const inputs = operands(args);
    const dilation = each(args.ints("dilation", [1]), spatial);
    const word = args.text("padding", "valid");
    if (word !== "valid" && word !== "same") throw new Unsupported(`padding = ${word}`);
    const totals = dilation.map((d, i) =>
      word === "same" ? d * ((inputs.weight.dims[i + 2] as number) - 1) : 0,
    );
    const left = totals.map((total) => Math.floor(total / 2));
    return convolve(c, "Conv", inputs, {
      stride: each(args.ints("stride", [1]), spatial),
      pads: [...left, ...totals.map((total, i) => total - left[i]!)],
      dilation,
      group: args.number("groups", 1),
    });
  };

const convTranspose =
  (spatial: number): OpHandler =>
  (c, args) => {
    const padding = each(args.ints("padding", [0]), spatial);
    return convolve(c, "ConvTranspose", operands(args), {
      stride: each(args.ints("stride", [1]), spatial),
      pads: [...padding, ...padding],
      dilation: each(args.ints("dilation", [1]), spatial),
      group: args.number("groups", 1),
      outputPadding: each(args.ints("output_padding", [0]), spatial),
    });
  };

const convolution: OpHandler = (c, args) => {
  const inputs = operands(args);
  const spatial = inputs.weight.rank - 2;
  const padding = each(args.ints("padding"), spatial);
  const transposed = args.boolean("transposed", false);
  const outputPadding = each(args.ints("output_padding", [0]), spatial);
  return convolve(c, transposed ? "ConvTranspose" : "Conv", inputs, {
    stride: each(args.ints("stride"), spatial),
    pads: [...padding, ...padding],
    dilation: each(args.ints("dilation"), spatial),
    group: args.number("groups"),
    ...(transposed ? { outputPadding } : {}),
  });
};

// biome-ignore format: a table is read by columns
export const CONVOLUTION: OpRows = {
  "conv1d.default": conv(1),
  "conv2d.default": conv(2),
  "conv3d.default": conv(3),
  "conv1d.padding": convPadding(1),
  "conv2d.padding": convPadding(2),
  "conv3d.padding": convPadding(3),
  "conv_transpose1d.default": convTranspose(1),
  "conv_transpose2d.input": convTranspose(2),
  "conv_transpose3d.input": convTranspose(3),
  "convolution.default": convolution,
};
