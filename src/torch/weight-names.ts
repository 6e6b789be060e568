/** Names of weights: which are parameters, what is the same under another prefix, and how messages list them. */
import { closest } from "../base/index.js";
import { quoted } from "./invalid.js";

/** Buffers that older versions of the reference saved and compute again. */
export const BUFFERS =
  /(^|\.)(position_ids|token_type_ids|inv_freq|original_inv_freq|cos_cached|sin_cached|masked_bias|num_batches_tracked)$/;

/** How modules call parameters and running statistics, as `in_proj_weight`, `bias_hh_l0` and `cls_token`. */
export const PARAMETER =
  /(^|[._])(weight|bias)(_\w+)?$|(^|\.)(running_mean|running_var|gamma|beta)$|(^|[._])(token|pos_embed|position_embeddings?|class_embedding)$/;

/**
 * The name among `names` that means the same: itself, or the one that is left when leading modules of either are dropped
 * (`module.encoder.weight` is `encoder.weight`). Undefined when there is none, or more than one.
 */
export function sameWeight(name: string, names: ReadonlySet<string>): string | undefined {
  for (let rest = name; ; rest = rest.slice(rest.indexOf(".") + 1)) {
    if (names.has(rest)) return rest;
    // What is left is one module's parameter: `weight` alone means nothing.
    if (rest.split(".").length < 3) break;
  }
  let found: string | undefined;
  for (const longer of names) {
    if (!longer.endsWith(`.${name}`)) continue;
    if (found !== undefined) return undefined;
    found = longer;
  }
  return found;
}

/** Most names of a kind that a message lists. */
const LISTED = 20;

/** Names for a message: the first ones, and how many more there are. */
export function listed(names: readonly string[], between = ", "): string {
  const more = names.length > LISTED ? `${between}and ${names.length - LISTED} more` : "";
  return names.slice(0, LISTED).join(between) + more;
}

/** A name with the one that was probably meant, unless there are too many to compare. */
export function withNear(name: string, known: Iterable<string>, text = name): string {
  const names = [...known];
  const near = names.length > 500 ? undefined : closest(name, names);
  return near === undefined ? text : `${text} (did you mean ${quoted(near)}?)`;
}
