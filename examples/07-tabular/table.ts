/** A Parquet table of pumps: readings, and whether each failed within a week, by chances that are known. */
import { sink } from "tenon/data";

export const READINGS = ["temperature", "vibration", "pressure", "hours", "starts"] as const;

const GROUP = 20_000;

/** The chance of a failure. Heat and vibration are bad together, pressure at both ends, and old pumps most of all. */
function chance(
  temperature: number,
  vibration: number,
  pressure: number,
  hours: number,
  starts: number,
): number {
  const strain = ((temperature - 50) / 20) * (vibration - 1);
  const off = Math.abs(pressure - 4) - 0.8;
  const age = hours / 10_000 + starts / 400;
  return 1 / (1 + Math.exp(-(1.6 * strain + 1.8 * off + 1.5 * (age - 1.5) * vibration - 1.5)));
}

/** Writes the table; `best` is the chance that a column of the true chances ranks a failed pump above another (AUROC). */
export async function writePumps(
  path: string,
  rows: number,
  seed: number,
): Promise<{ readonly failed: number }> {
  let state = seed >>> 0;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  let failures = 0;
  await using out = sink.parquet(path, { rowGroup: GROUP });
  for (let from = 0; from < rows; from += GROUP) {
    const count = Math.min(GROUP, rows - from);
    const column = (low: number, high: number): Float32Array<ArrayBuffer> =>
      Float32Array.from({ length: count }, () => low + (high - low) * random());
    const [temperature, vibration, pressure] = [column(20, 90), column(0, 3), column(2, 6)];
    const [hours, starts] = [column(0, 20_000), column(0, 600)];
    const risk = Float32Array.from({ length: count }, (_, i) =>
      chance(temperature[i]!, vibration[i]!, pressure[i]!, hours[i]!, starts[i]!),
    );
    const failed = BigInt64Array.from(risk, (each) => BigInt(random() < each));
    failures += failed.filter((each) => each === 1n).length;
    const pump = Array.from({ length: count }, (_, i) => `P${String(from + i).padStart(6, "0")}`);
    await out.write({ pump, temperature, vibration, pressure, hours, starts, risk, failed });
  }
  await out.commit();
  return { failed: failures };
}
