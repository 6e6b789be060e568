/** Ops that make tensors from sizes and numbers. */
import { dtypeInfo } from "../../tensor/index.js";
import type { Arguments, Scalar } from "./arguments.js";
import { allAxes } from "./emitter.js";
import type { OpHandler, OpRows } from "./handler.js";
import { Unsupported } from "./unsupported.js";

/** Where a tensor lies does not change what it holds. */
function placed(args: Arguments): void {
  args.ignore("dtype", "layout", "device", "pin_memory", "memory_format", "names");
}

const filled =
  (value: Scalar | "fill_value"): OpHandler =>
  (c, args, { dtype }) => {
    placed(args);
    args.ignore("self");
    const number = value === "fill_value" ? args.scalar("fill_value") : value;
    return c.full(args.sizes("size"), number, dtype);
  };

const like =
  (value: Scalar | "fill_value"): OpHandler =>
  (c, args, { dtype }) => {
    placed(args);
    const x = args.tensor("self");
    const number = value === "fill_value" ? args.scalar("fill_value") : value;
    return c.add("Expand", [c.scalar(number, dtype), c.shapeOf(x)]);
  };

/** Integers are counted in int64, so that no step is lost; floats in the dtype itself. */
const arange: OpHandler = (c, args, { dtype }) => {
  placed(args);
  const start = args.scalar("start", 0);
  const end = args.scalar("end");
  const step = args.scalar("step", 1);
  const whole = [start, end, step].every((value) => typeof value !== "number" || Number.isInteger(value));
  if (!whole && dtypeInfo(dtype).bits === 16) throw new Unsupported(`arange of ${dtype} with broken steps`);
  const inner = whole ? "int64" : dtype;
  const range = c.add("Range", [c.scalar(start, inner), c.scalar(end, inner), c.scalar(step, inner)]);
  return c.cast(range, inner, dtype);
};

const scalarTensor: OpHandler = (c, args, { dtype }) => {
  placed(args);
  return c.scalar(args.scalar("s"), dtype);
};

const linspace: OpHandler = (c, args, { dtype }) => {
  placed(args);
  const [start, end, steps] = [args.number("start"), args.number("end"), args.number("steps")];
  const step = steps > 1 ? (end - start) / (steps - 1) : 0;
  // PyTorch counts from both ends to the middle.
  const values = allAxes(steps).map((i) => (i < steps / 2 ? start + i * step : end - (steps - 1 - i) * step));
  return c.table(`linspace:${start},${end},${steps}`, values, dtype);
};

const eye: OpHandler = (c, args, { dtype }) => {
  placed(args);
  const rows = args.number("n");
  const columns = args.number("m", rows);
  const table = allAxes(rows).map((i) => allAxes(columns).map((j) => (i === j ? 1 : 0)));
  return c.cast(c.table(`eye:${rows},${columns}`, table, "float32"), "float32", dtype);
};

export const CREATION: OpRows = {
  "zeros.default": filled(0),
  "ones.default": filled(1),
  "full.default": filled("fill_value"),
  "empty.memory_format": filled(0),
  "new_zeros.default": filled(0),
  "new_ones.default": filled(1),
  "new_full.default": filled("fill_value"),
  "new_empty.default": filled(0),
  "zeros_like.default": like(0),
  "ones_like.default": like(1),
  "full_like.default": like("fill_value"),
  "empty_like.default": like(0),
  "arange.default": arange,
  "arange.start": arange,
  "arange.start_step": arange,
  "scalar_tensor.default": scalarTensor,
  "linspace.default": linspace,
  "eye.default": eye,
  "eye.m": eye,
};
