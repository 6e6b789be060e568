/** GridSample written out: places, their neighbours, and what those weigh; kinks as torch.nn.functional.grid_sample has them. */
import { type Lowering, Refusal, type Site } from "./site.js";

const product = (sizes: readonly number[]): number => sizes.reduce((all, size) => all * size, 1);

/** A neighbour of a place along one axis, and its share where there are two. */
interface Neighbour {
  readonly at: string;
  readonly weight?: string;
}

/** A place within 0 … size − 1. No gradient flows at the ends and beyond them. */
function clipped(s: Site, place: string, size: number): string {
  const [low, high] = [s.k(0), s.k(size - 1)];
  const below = s.where(s.op("Less", [place, high]), place, high);
  return s.where(s.op("Greater", [place, low]), below, low);
}

/** A place thrown back at the ends as often as it takes: from −½ to size − ½, or with aligned corners from 0 to size − 1. */
function reflected(s: Site, place: string, size: number, aligned: boolean): string {
  const [least, span] = aligned ? [0, size - 1] : [-0.5, size];
  if (span === 0) return place;
  const moved = s.sub(place, s.k(least));
  const distance = s.where(s.op("Less", [moved, s.k(0)]), s.neg(moved), moved);
  const turns = s.op("Floor", [s.div(distance, s.k(span))]);
  const rest = s.sub(distance, s.mul(turns, s.k(span)));
  const even = s.scale(s.op("Floor", [s.scale(turns, 0.5)]), 2);
  const isOdd = s.op("Greater", [s.sub(turns, even), s.k(0.5)]);
  return s.add(s.where(isOdd, s.sub(s.k(span), rest), rest), s.k(least));
}

export const gridSample: Lowering = (s) => {
  const [x, grid] = [s.x(0), s.x(1)];
  s.sameTypes([0, 1]);
  const mode = s.text("mode", "linear");
  if (!["linear", "bilinear", "nearest"].includes(mode)) throw new Refusal(`its mode "${mode}" has no rule`);
  const padding = s.text("padding_mode", "zeros");
  const aligned = s.int("align_corners", 0) === 1;
  const [batch = 0, channels = 0, ...sizes] = s.dims(x);
  const shape = s.dims(grid).slice(1, -1);
  const count = product(shape);
  if (product(sizes) === 0) throw new Refusal("an image without elements has no rule");
  const axes = sizes.map((size, axis): Neighbour[] => {
    // The last number of the grid is the place along the first axis.
    const at = sizes.length - 1 - axis;
    const given = s.reshape(s.slice(grid, [at], [at + 1], [shape.length + 1]), [batch, 1, count]);
    const from1 = s.add(given, s.k(1));
    let place = aligned
      ? s.scale(from1, (size - 1) / 2)
      : s.scale(s.sub(s.mul(from1, s.k(size)), s.k(1)), 0.5);
    if (padding === "reflection") place = reflected(s, place, size, aligned);
    if (padding !== "zeros") place = clipped(s, place, size);
    if (mode === "nearest") return [{ at: s.op("Round", [place]) }];
    const low = s.op("Floor", [place]);
    const part = s.sub(place, low);
    return [
      { at: low, weight: s.sub(s.k(1), part) },
      { at: s.add(low, s.k(1)), weight: part },
    ];
  });
  const flat = s.reshape(x, [batch, channels, product(sizes)]);
  const corners = axes.reduce<Neighbour[][]>(
    (all, each) => all.flatMap((corner) => each.map((next) => [...corner, next])),
    [[]],
  );
  const parts = corners.map((corner) => {
    const indices = corner.map(({ at }, axis) => {
      const whole = s.op("Clip", [s.cast(at, "int64"), s.k(0, "int64"), s.k(sizes[axis]! - 1, "int64")]);
      return s.mul(whole, s.k(product(sizes.slice(axis + 1)), "int64"));
    });
    const index = indices.reduce((a, b) => s.add(a, b));
    const spread = s.op("Expand", [index, s.vector([batch, channels, count])]);
    let value = s.op("GatherElements", [flat, spread], { axis: 2 });
    const weights = corner.flatMap(({ weight }) => weight ?? []);
    if (weights.length > 0)
      value = s.mul(
        value,
        weights.reduce((a, b) => s.mul(a, b)),
      );
    if (padding !== "zeros") return value;
    const inside = corner.flatMap(({ at }, axis) => [
      s.op("GreaterOrEqual", [at, s.k(0)]),
      s.op("LessOrEqual", [at, s.k(sizes[axis]! - 1)]),
    ]);
    return s.where(
      inside.reduce((a, b) => s.op("And", [a, b])),
      value,
      s.k(0),
    );
  });
  const sum = parts.reduce((a, b) => s.add(a, b));
  s.as(0, "Reshape", [sum, s.vector([batch, channels, ...shape])]);
};
