/** Names of weights in two places: what is the same under another prefix, and what models save and never need. */

/** Buffers that older versions of the reference saved and compute again. */
export const BUFFERS =
  /(^|\.)(position_ids|token_type_ids|inv_freq|original_inv_freq|cos_cached|sin_cached|masked_bias|num_batches_tracked)$/;

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
