/** The table: readings of pumps, made by a seeded generator, in row groups of 50,000. */
import { sink } from "tenon/data";

const GROUP = 50_000;

export async function writeReadings(path: string, rows: number): Promise<void> {
  let state = 7;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  await using out = sink.parquet(path, { rowGroup: GROUP });
  for (let from = 0; from < rows; from += GROUP) {
    const count = Math.min(GROUP, rows - from);
    const numbers = (low: number, high: number): Float32Array =>
      Float32Array.from({ length: count }, () => low + (high - low) * random() ** 2);
    await out.write({
      pump: Array.from({ length: count }, (_, i) => `P${String(from + i).padStart(7, "0")}`),
      temperature: numbers(20, 90),
      vibration: numbers(0, 3),
      pressure: numbers(2, 6),
    });
  }
  await out.commit();
}
