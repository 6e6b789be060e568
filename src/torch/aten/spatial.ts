/** What convolutions and pools share: arguments over spatial axes, inputs without a batch axis. */
import type { TensorValue } from "./arguments.js";
import type { Emitter } from "./emitter.js";
import { Unsupported } from "./unsupported.js";

/** One number stands for all axes. */
export function each(values: readonly number[], spatial: number): number[] {
  return values.length === 1 ? new Array<number>(spatial).fill(values[0]!) : [...values];
}

/** Without a batch axis one is added and taken away. */
export function batched(c: Emitter, x: TensorValue, rank: number, emit: (value: string) => string): string {
  if (x.rank === rank) return emit(x.value);
  if (x.rank !== rank - 1) throw new Unsupported(`an input of rank ${x.rank}`);
  return c.squeeze(emit(c.unsqueeze(x.value, 0)), 0);
}
