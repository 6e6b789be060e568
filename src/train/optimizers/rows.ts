/** Elementwise optimisers: one row each, with the formulas of PyTorch's torch.optim (Lion: Chen et al. 2023, arXiv 2302.06675; LAMB: You et al. 2019, arXiv 1904.00962). */
import { TenonError } from "../../base/index.js";
import { add, div, type Expression, mul, read, scalar, sign, sqrt, sub } from "./expression.js";
import type { Optimizer, StepRates } from "./optimizer.js";

export const p = read("p");
/** The gradient after the global clip. */
export const g = mul(read("g"), scalar("scale"));

export interface CommonOptions {
  /** Learning rate, 0 or more. */
  readonly lr?: number;
  /** 0 or more. */
  readonly weightDecay?: number;
}

/** Throws USAGE for numbers that an optimiser does not take. */
export function checked(name: string, values: Readonly<Record<string, number>>): void {
  for (const [key, value] of Object.entries(values)) {
    const share = key.startsWith("beta") || key === "alpha" || key === "momentum";
    if (Number.isFinite(value) && value >= 0 && !(share && value >= 1)) continue;
    throw new TenonError("USAGE", {
      problem: `${name} does not take ${key} ${value}`,
      expected: share ? "0 or more, less than 1" : "a finite number, 0 or more",
    });
  }
}

export interface SgdOptions extends CommonOptions {
  /** Share of the last update that is kept, 0 to below 1; default 0. */
  readonly momentum?: number;
  /** Look ahead by one momentum step; needs momentum. Default false. */
  readonly nesterov?: boolean;
}

/** Stochastic gradient descent, as torch.optim.SGD. Defaults: lr 1e-3, momentum 0, weightDecay 0. */
export function sgd(options: SgdOptions = {}): Optimizer {
  const { lr = 1e-3, weightDecay = 0, momentum = 0, nesterov = false } = options;
  checked("sgd", { lr, weightDecay, momentum });
  if (nesterov && momentum === 0) {
    throw new TenonError("USAGE", { problem: "nesterov without momentum", do: "give momentum, such as 0.9" });
  }
  const decayed = add(g, mul(p, scalar("weightDecay")));
  const m = add(mul(read("m"), scalar("momentum")), decayed);
  const direction = momentum === 0 ? decayed : nesterov ? add(decayed, mul(m, scalar("momentum"))) : m;
  const next = sub(p, mul(direction, scalar("lr")));
  return {
    name: "sgd",
    lr,
    weightDecay,
    state: momentum === 0 ? [] : ["m"],
    scalars: (rates) => ({ lr: rates.lr, weightDecay: rates.weightDecay, momentum }),
    update: momentum === 0 ? { p: next } : { m, p: next },
  };
}

export interface AdamOptions extends CommonOptions {
  /** Decay of the mean of gradients, default 0.9. */
  readonly beta1?: number;
  /** Decay of the mean of squares, default 0.999. */
  readonly beta2?: number;
  /** Added to the root, default 1e-8. */
  readonly epsilon?: number;
}

interface Moments {
  readonly m: Expression;
  readonly v: Expression;
  /** m / (√v · 1/√(1 − β₂ᵗ) + ε): one division less for each element than by PyTorch's formula. */
  readonly direction: Expression;
}

function moments(gradient: Expression): Moments {
  const m = add(mul(read("m"), scalar("beta1")), mul(gradient, scalar("rest1")));
  const v = add(mul(read("v"), scalar("beta2")), mul(mul(gradient, gradient), scalar("rest2")));
  return { m, v, direction: div(m, add(mul(sqrt(v), scalar("root")), scalar("epsilon"))) };
}

function adamScalars(
  beta1: number,
  beta2: number,
  epsilon: number,
): (rates: StepRates) => Record<string, number> {
  return ({ step, lr, weightDecay }) => ({
    beta1,
    rest1: 1 - beta1,
    beta2,
    rest2: 1 - beta2,
    epsilon,
    root: 1 / Math.sqrt(1 - beta2 ** step),
    rate: lr / (1 - beta1 ** step),
    keep: 1 - lr * weightDecay,
    weightDecay,
  });
}

/** Adam with weight decay added to the gradient, as torch.optim.Adam. Defaults: lr 1e-3, weightDecay 0. */
export function adam(options: AdamOptions = {}): Optimizer {
  const { lr = 1e-3, weightDecay = 0, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = options;
  checked("adam", { lr, weightDecay, beta1, beta2, epsilon });
  const { m, v, direction } = moments(add(g, mul(p, scalar("weightDecay"))));
  const next = sub(p, mul(direction, scalar("rate")));
  return {
    name: "adam",
    lr,
    weightDecay,
    state: ["m", "v"],
    scalars: adamScalars(beta1, beta2, epsilon),
    update: { m, v, p: next },
  };
}

/** Adam with decoupled weight decay, as torch.optim.AdamW. Defaults: lr 1e-3, weightDecay 0.01. */
export function adamw(options: AdamOptions = {}): Optimizer {
  const { lr = 1e-3, weightDecay = 0.01, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = options;
  checked("adamw", { lr, weightDecay, beta1, beta2, epsilon });
  const { m, v, direction } = moments(g);
  const next = sub(mul(p, scalar("keep")), mul(direction, scalar("rate")));
  return {
    name: "adamw",
    lr,
    weightDecay,
    state: ["m", "v"],
    scalars: adamScalars(beta1, beta2, epsilon),
    update: { m, v, p: next },
  };
}

/**
 * LAMB: AdamW's direction, its length set to that of the parameter, for large batches. Defaults: lr 1e-3, weightDecay
 * 0.01, epsilon 1e-6, which must be above 0.
 */
export function lamb(options: AdamOptions = {}): Optimizer {
  const { lr = 1e-3, weightDecay = 0.01, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-6 } = options;
  checked("lamb", { lr, weightDecay, beta1, beta2, epsilon });
  if (epsilon === 0) throw new TenonError("USAGE", { problem: "lamb's epsilon is 0", expected: "above 0" });
  const { m, v, direction } = moments(g);
  const whole = add(mul(direction, scalar("correction")), mul(p, scalar("weightDecay")));
  const next = sub(p, mul(whole, mul(scalar("trust"), scalar("lr"))));
  const scalars = adamScalars(beta1, beta2, epsilon);
  return {
    name: "lamb",
    lr,
    weightDecay,
    state: ["m", "v"],
    scalars: (rates) => ({ ...scalars(rates), lr: rates.lr, correction: 1 / (1 - beta1 ** rates.step) }),
    update: { m, v, p: next },
    ratios: { trust: { over: p, under: whole } },
  };
}

export interface LionOptions extends CommonOptions {
  /** Weight of the old mean in the direction, default 0.9. */
  readonly beta1?: number;
  /** Decay of the mean, default 0.99. */
  readonly beta2?: number;
}

/** Lion: the sign of an interpolated momentum. Defaults: lr 1e-4, weightDecay 0. */
export function lion(options: LionOptions = {}): Optimizer {
  const { lr = 1e-4, weightDecay = 0, beta1 = 0.9, beta2 = 0.99 } = options;
  checked("lion", { lr, weightDecay, beta1, beta2 });
  const direction = sign(add(mul(read("m"), scalar("beta1")), mul(g, scalar("rest1"))));
  const m = add(mul(read("m"), scalar("beta2")), mul(g, scalar("rest2")));
  const next = sub(mul(p, scalar("keep")), mul(direction, scalar("lr")));
  return {
    name: "lion",
    lr,
    weightDecay,
    state: ["m"],
    scalars: (rates) => ({
      lr: rates.lr,
      keep: 1 - rates.lr * rates.weightDecay,
      beta1,
      rest1: 1 - beta1,
      beta2,
      rest2: 1 - beta2,
    }),
    update: { m, p: next },
  };
}

export interface RmspropOptions extends CommonOptions {
  /** Decay of the mean of squares, default 0.99. */
  readonly alpha?: number;
  /** Default 1e-8. */
  readonly epsilon?: number;
  /** Default 0. */
  readonly momentum?: number;
}

/** RMSprop, not centred, as torch.optim.RMSprop. Defaults: lr 1e-2, weightDecay 0. */
export function rmsprop(options: RmspropOptions = {}): Optimizer {
  const { lr = 1e-2, weightDecay = 0, alpha = 0.99, epsilon = 1e-8, momentum = 0 } = options;
  checked("rmsprop", { lr, weightDecay, alpha, epsilon, momentum });
  const decayed = add(g, mul(p, scalar("weightDecay")));
  const v = add(mul(read("v"), scalar("alpha")), mul(mul(decayed, decayed), scalar("rest")));
  const scaled = div(decayed, add(sqrt(v), scalar("epsilon")));
  const m = add(mul(read("m"), scalar("momentum")), scaled);
  const next = sub(p, mul(momentum === 0 ? scaled : m, scalar("lr")));
  return {
    name: "rmsprop",
    lr,
    weightDecay,
    state: momentum === 0 ? ["v"] : ["v", "m"],
    scalars: (rates) => ({
      lr: rates.lr,
      weightDecay: rates.weightDecay,
      alpha,
      rest: 1 - alpha,
      epsilon,
      momentum,
    }),
    update: momentum === 0 ? { v, p: next } : { v, m, p: next },
  };
}

export interface AdagradOptions extends CommonOptions {
  /** The rate falls as 1 / (1 + lrDecay × steps before); default 0. */
  readonly lrDecay?: number;
  /** Sum of squares at first, default 0. */
  readonly initialAccumulator?: number;
  /** Default 1e-10. */
  readonly epsilon?: number;
}

/** Adagrad, as torch.optim.Adagrad. Defaults: lr 1e-2, weightDecay 0. */
export function adagrad(options: AdagradOptions = {}): Optimizer {
  const { lr = 1e-2, weightDecay = 0, lrDecay = 0, initialAccumulator = 0, epsilon = 1e-10 } = options;
  checked("adagrad", { lr, weightDecay, lrDecay, initialAccumulator, epsilon });
  const decayed = add(g, mul(p, scalar("weightDecay")));
  const v = add(read("v"), mul(decayed, decayed));
  const next = sub(p, mul(div(decayed, add(sqrt(v), scalar("epsilon"))), scalar("rate")));
  return {
    name: "adagrad",
    lr,
    weightDecay,
    state: ["v"],
    start: { v: initialAccumulator },
    scalars: (rates) => ({
      rate: rates.lr / (1 + (rates.step - 1) * lrDecay),
      weightDecay: rates.weightDecay,
      epsilon,
    }),
    update: { v, p: next },
  };
}
