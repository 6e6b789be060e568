/** Layers that normalise: over features, over channels of a batch, over groups of channels. */

import { onesInit, zerosInit } from "../model/initializers.js";
import { add, div, mean, mul, sqrt } from "../model/ops.js";
import type { Var } from "../model/tape.js";
import { count } from "./dense.js";

export interface NormOptions {
  readonly name?: string;
  /** Added to the variance; default 1e-5. */
  readonly epsilon?: number;
}

/** To mean 0 and variance 1 over the last axis, then · weight + bias. */
export function layerNorm(x: Var, { name, epsilon = 1e-5 }: NormOptions = {}): Var {
  const { tape } = x;
  const scope = tape.scope(name ?? "layer_norm");
  const weight = tape.parameter(`${scope}.weight`, [x.size(-1)], { init: onesInit });
  const bias = tape.parameter(`${scope}.bias`, [x.size(-1)], { init: zerosInit });
  return tape.op("LayerNormalization", [x, weight, bias], { axis: -1, epsilon });
}

/** Divided by the root of the mean square over the last axis, then · weight. */
export function rmsNorm(x: Var, { name, epsilon = 1e-5 }: NormOptions = {}): Var {
  const scope = x.tape.scope(name ?? "rms_norm");
  const weight = x.tape.parameter(`${scope}.weight`, [x.size(-1)], { init: onesInit });
  const square = mean(mul(x, x), { axes: [-1], keep: true });
  return mul(div(x, sqrt(add(square, epsilon))), weight);
}

export interface BatchNormOptions extends NormOptions {
  /** Share of a batch's statistics in the new running ones, as in PyTorch; default 0.1. */
  readonly momentum?: number;
}

/**
 * Per channel (axis 1) to mean 0 and variance 1: over the batch in training, by running statistics in inference.
 * Parameters: `weight`, `bias`; kept beside them: `running_mean`, `running_var` (of the unbiased variance).
 */
export function batchNorm(x: Var, { name, epsilon = 1e-5, momentum = 0.1 }: BatchNormOptions = {}): Var {
  const { tape } = x;
  const scope = tape.scope(name ?? "batch_norm");
  const shape = [x.size(1)];
  const inputs = [
    x,
    tape.parameter(`${scope}.weight`, shape, { init: onesInit }),
    tape.parameter(`${scope}.bias`, shape, { init: zerosInit }),
    tape.parameter(`${scope}.running_mean`, shape, { init: zerosInit, trainable: false }),
    tape.parameter(`${scope}.running_var`, shape, { init: onesInit, trainable: false }),
  ];
  const normal = tape.op("BatchNormalization", inputs, { epsilon, momentum: 1 - momentum });
  tape.markModal(normal);
  return normal;
}

/** To mean 0 and variance 1 over groups of channels (axis 1) and all that lies behind, then per channel · weight + bias. */
export function groupNorm(x: Var, groups: number, { name, epsilon = 1e-5 }: NormOptions = {}): Var {
  count("the number of groups", groups);
  const { tape } = x;
  const scope = tape.scope(name ?? "group_norm");
  const shape = [x.size(1)];
  const weight = tape.parameter(`${scope}.weight`, shape, { init: onesInit });
  const bias = tape.parameter(`${scope}.bias`, shape, { init: zerosInit });
  return tape.op("GroupNormalization", [x, weight, bias], { num_groups: groups, epsilon });
}
