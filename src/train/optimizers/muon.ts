/** Muon (Jordan 2024, with the step sizes of Liu et al. 2025, arXiv 2502.16982): momentum of matrices, orthogonalised. */
import { TenonError } from "../../base/index.js";
import { add, type Expression, mul, read, scalar, sub } from "./expression.js";
import type { Optimizer } from "./optimizer.js";
import { adamw, type CommonOptions, checked, g, p } from "./rows.js";

export interface MuonOptions extends CommonOptions {
  /** Share of the mean of gradients that is kept, default 0.95. */
  readonly momentum?: number;
  /** Look ahead by one momentum step; default true. */
  readonly nesterov?: boolean;
  /** Newton–Schulz steps, 1 to 99; default 5. */
  readonly steps?: number;
  /** Coefficients of its polynomial; default 3.4445, −4.775, 2.0315. */
  readonly coefficients?: readonly [number, number, number];
  /** Least norm that a matrix is divided by; default 1e-7. */
  readonly epsilon?: number;
  /**
   * `rms`, the default: the step is 0.2 · √(larger size) · lr, so that its root mean square is that of AdamW, whose rates
   * then serve here. `none`: the step is lr.
   */
  readonly scale?: "rms" | "none";
  /** Which matrices; default all but embeddings by name. Arrays that are not matrices are never taken. */
  readonly match?: RegExp | ((name: string, shape: readonly number[]) => boolean);
  /** What updates all other parameters; default `adamw()`. Its rate follows the schedule alike. */
  readonly others?: Optimizer;
}

/**
 * Muon for matrices, as torch.optim.Muon but in float32 throughout; another optimiser for the rest. Defaults: lr 1e-3,
 * weightDecay 0.1. Leave first and last layers to the others with `match`. Throws USAGE for numbers out of range.
 */
export function muon(options: MuonOptions = {}): Optimizer {
  const { lr = 1e-3, weightDecay = 0.1, momentum = 0.95, nesterov = true, scale = "rms" } = options;
  const { steps = 5, coefficients = [3.4445, -4.775, 2.0315], epsilon = 1e-7 } = options;
  const { match = (name) => !/embed/i.test(name), others = adamw() } = options;
  checked("muon", { lr, weightDecay, momentum, epsilon });
  const problem = !(lr > 0)
    ? "muon's lr is 0"
    : !(epsilon > 0)
      ? "muon's epsilon is 0"
      : !(Number.isInteger(steps) && steps >= 1 && steps < 100)
        ? `muon does not take ${steps} steps`
        : coefficients.length !== 3 || !coefficients.every(Number.isFinite)
          ? `muon does not take the coefficients ${coefficients.join(", ")}`
          : others.matrices !== undefined
            ? "muon's other optimiser updates matrices too"
            : undefined;
  if (problem !== undefined) {
    throw new TenonError("USAGE", {
      problem,
      expected:
        "lr and epsilon above 0, 1 to 99 steps, three finite coefficients, an elementwise optimiser beside it",
    });
  }
  const m = add(mul(read("m"), scalar("momentum")), mul(g, scalar("rest")));
  const ahead: Expression = nesterov ? add(mul(g, scalar("rest")), mul(m, scalar("momentum"))) : m;
  const after = { p: sub(mul(p, scalar("keep")), mul(read("g"), scalar("rate"))) };
  return {
    ...others,
    name: "muon",
    lr,
    state: others.state.includes("m") ? others.state : [...others.state, "m"],
    scalars: (rates) => others.scalars({ ...rates, lr: (rates.lr / lr) * others.lr }),
    matrices: {
      weightDecay,
      takes: (name, shape) =>
        shape.length === 2 &&
        shape.every((dim) => dim > 1) &&
        (match instanceof RegExp ? match.test(name) : match(name, shape)),
      scalars: (rates, [rows = 1, columns = 1]) => ({
        momentum,
        rest: 1 - momentum,
        keep: 1 - rates.lr * rates.weightDecay,
        rate: rates.lr * (scale === "rms" ? 0.2 * Math.sqrt(Math.max(rows, columns)) : 1),
      }),
      before: { state: ["m"], update: { m, g: ahead } },
      newtonSchulz: { coefficients, steps, epsilon },
      after: { state: [], update: after },
    },
  };
}
