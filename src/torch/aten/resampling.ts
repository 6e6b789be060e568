/** Resampling of images and volumes. */
import { isFloat } from "./emitter.js";
import type { OpHandler, OpRows } from "./handler.js";
import { Unsupported } from "./unsupported.js";

const upsample =
  (mode: "nearest" | "linear" | "cubic", antialias = false): OpHandler =>
  (c, args, meta) => {
    const x = args.tensor(args.has("input") ? "input" : "self");
    const aligned = args.boolean("align_corners", false);
    if (!isFloat(x.dtype)) throw new Unsupported(`resizing of ${x.dtype}`);
    const spatial = x.rank - 2;
    const attrs = {
      mode,
      nearest_mode: mode === "nearest" ? "floor" : undefined,
      coordinate_transformation_mode:
        mode === "nearest" ? "asymmetric" : aligned ? "align_corners" : "half_pixel",
      cubic_coeff_a: mode === "cubic" ? (antialias ? -0.5 : -0.75) : undefined,
      antialias: antialias ? 1 : undefined,
    };
    if (antialias && aligned) throw new Unsupported("align_corners with antialias");
    if (args.has("output_size")) {
      const sizes = args.sizes("output_size");
      const [n, ch] = [c.dim(x, 0), c.dim(x, 1)];
      return c.add("Resize", [x.value, undefined, undefined, c.shape([n, ch, ...sizes])], attrs);
    }
    const factors = args.floats("scale_factors");
    if (factors.length !== spatial) throw new Unsupported("scale_factors of another rank");
    args.ignore("output_size");
    const outs = meta.dims.slice(2);
    if (
      outs.every((size) => size !== null) &&
      factors.every((f, i) => f * (x.dims[i + 2] ?? 0) === outs[i])
    ) {
      const [n, ch] = [c.dim(x, 0), c.dim(x, 1)];
      return c.add("Resize", [x.value, undefined, undefined, c.shape([n, ch, ...(outs as number[])])], attrs);
    }
    const scales = c.table(`scales:${factors.join(",")}`, [1, 1, ...factors], "float32");
    return c.add("Resize", [x.value, undefined, scales], attrs);
  };

const gridSampler: OpHandler = (c, args) => {
  const [x, grid] = [args.tensor("input"), args.tensor("grid")];
  const mode = ["linear", "nearest", "cubic"][args.number("interpolation_mode")];
  const padding = ["zeros", "border", "reflection"][args.number("padding_mode")];
  if (mode === undefined || padding === undefined) throw new Unsupported("an unknown mode");
  if (mode === "cubic" && x.rank !== 4) throw new Unsupported("cubic sampling of volumes");
  return c.add("GridSample", [x.value, grid.value], {
    mode,
    padding_mode: padding,
    align_corners: args.boolean("align_corners", false) ? 1 : 0,
  });
};

// biome-ignore format: a table is read by columns
export const RESAMPLING: OpRows = {
  "upsample_nearest1d.vec": upsample("nearest"),
  "upsample_nearest2d.vec": upsample("nearest"),
  "upsample_nearest3d.vec": upsample("nearest"),
  "upsample_linear1d.vec": upsample("linear"),
  "upsample_bilinear2d.vec": upsample("linear"),
  "upsample_trilinear3d.vec": upsample("linear"),
  "upsample_bicubic2d.vec": upsample("cubic"),
  "_upsample_bicubic2d_aa.vec": upsample("cubic", true),
  "grid_sampler.default": gridSampler,
};
