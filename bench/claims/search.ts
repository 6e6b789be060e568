/** Claim: the ten nearest of a million vectors are found in the time that memory takes, and in less with bytes. */
import { searchIndex } from "tenon/embed";
import { alternate, type Bench, value, withSides } from "../harness/bench.js";
import { syncLoop } from "../harness/loops.js";
import { type MakeSide, numberSetting, type Sides } from "../harness/side.js";

const ROWS = 1_000_000;
const DIMS = 384;
const TARGETS = { float32: 150, int8: 80 } as const;

function data(rows: number, seed: number): Float32Array {
  let state = seed;
  // Sums of four uniform numbers, near enough to the normal ones of real vectors.
  return Float32Array.from({ length: rows * DIMS }, () => {
    let sum = 0;
    for (let i = 0; i < 4; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      sum += state;
    }
    return sum / 2 ** 32 - 2;
  });
}

function searching(storage: "float32" | "int8"): MakeSide {
  return async (settings) => {
    const index = searchIndex(
      { data: data(numberSetting(settings, "rows"), 1), rows: numberSetting(settings, "rows"), dims: DIMS },
      { storage },
    );
    const queries = Array.from({ length: 16 }, (_, i) => data(1, 100 + i));
    const found = queries.map((query) => index.search(query));
    let at = 0;
    return {
      facts: { rows: found.flat().reduce((sum, { row }, i) => (sum * 31 + row * (i + 1)) % 1_000_003, 0) },
      measure: async (given) =>
        syncLoop(numberSetting(given, "seconds"), () => index.search(queries[at++ % queries.length]!)),
      close: async () => {},
    };
  };
}

export const sides: Sides = { float32: searching("float32"), int8: searching("int8") };

export const bench: Bench = {
  name: "search",
  async run(effort) {
    const settings = { rows: ROWS };
    const wanted = {
      float32: { side: "float32", settings },
      int8: { side: "int8", settings },
    };
    const measured = await withSides(import.meta.url, wanted, (team) => alternate(team, effort));
    return (["float32", "int8"] as const).map((storage) => {
      const ms = value(measured[storage], "p50Ms");
      return {
        claim: `the ten nearest of ${ROWS} × ${DIMS} vectors, ${storage}`,
        target: `≤ ${TARGETS[storage]} ms`,
        measured: `${ms.toFixed(0)} ms`,
        met: ms <= TARGETS[storage],
      };
    });
  },
};
