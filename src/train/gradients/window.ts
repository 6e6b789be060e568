/** Windows that slide over space: where they lie, and gradients back to what they came from. */
import type { Site } from "./site.js";

/** Strides, dilations and pads along each axis of space. */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly begin: readonly number[];
  readonly end: readonly number[];
}

/** Behind batch and channels. */
export const spatialAxes = (rank: number): number[] => Array.from({ length: rank }, (_, i) => i + 2);

/** The window of a node that goes from `input` to `output` (names of values); ends follow from the output's size. */
export function windowOf(s: Site, input: string, output: string, kernel: readonly number[]): Window {
  const n = kernel.length;
  const ones = new Array<number>(n).fill(1);
  const strides = s.ints("strides") ?? ones;
  const dilations = s.ints("dilations") ?? ones;
  const auto = s.text("auto_pad", "NOTSET");
  const pads = s.ints("pads") ?? new Array<number>(2 * n).fill(0);
  const begin: number[] = [];
  const end: number[] = [];
  for (let i = 0; i < n; i++) {
    const [size, out] = [s.dim(input, i + 2), s.dim(output, i + 2)];
    const reach = (out - 1) * strides[i]! + dilations[i]! * (kernel[i]! - 1) + 1;
    const total = Math.max(0, reach - size);
    const first =
      auto === "SAME_UPPER"
        ? Math.floor(total / 2)
        : auto === "SAME_LOWER"
          ? Math.ceil(total / 2)
          : auto === "VALID"
            ? 0
            : pads[i]!;
    begin.push(first);
    // What the last window reaches beyond the input: less than the declared pad where windows stop before it.
    end.push(reach - size - first);
  }
  return { kernel, strides, dilations, begin, end };
}

/** Windows back to what they came from: ConvTranspose that gives `size` along each axis. */
function spreadBack(s: Site, g: string, weight: string, window: Window, group: number): string {
  return s.op("ConvTranspose", [g, weight], {
    strides: window.strides,
    dilations: window.dilations,
    group,
    pads: [...window.begin, ...window.end.map((end) => Math.max(0, end))],
    output_padding: window.end.map((end) => Math.max(0, -end)),
    kernel_shape: window.kernel,
  });
}

/** Input that no window reaches can be wider than a stride, which output_padding does not allow. */
export function spreadTo(
  s: Site,
  g: string,
  weight: string,
  window: Window,
  group: number,
  like: string,
): string {
  const allowed = window.end.map((end, i) => {
    const most = Math.max(window.strides[i]!, window.dilations[i]!) - 1;
    return end < -most ? 0 : end;
  });
  const spread = spreadBack(s, g, weight, { ...window, end: allowed }, group);
  const missing = window.end.map((end, i) => (allowed[i] === end ? 0 : -end));
  if (missing.every((count) => count === 0)) return spread;
  const rank = s.rank(like);
  return s.op("Pad", [spread, s.vector([...new Array<number>(rank + 2).fill(0), ...missing]), s.k(0)]);
}
