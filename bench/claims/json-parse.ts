/** Claim: an infer request in JSON is read faster than by `JSON.parse` and a copy into a typed array. */
import { parseInferRequest } from "tenon/serve";
import { alternate, type Bench, type Finding, value, withSides } from "../harness/bench.js";
import { syncLoop } from "../harness/loops.js";
import { type MakeSide, numberSetting, type Settings, type Sides, textSetting } from "../harness/side.js";

/** Elements of one 224 × 224 image. */
const ELEMENTS = 150_528;
const TARGET = 2;

/** How the numbers are spelt: as Python and JavaScript print float32 values, as float32 itself needs, and rounded. */
const SPELLINGS: Readonly<Record<string, (value: number) => number>> = {
  "17 digits": (value) => value,
  "9 digits": (value) => Number(value.toPrecision(9)),
  "4 decimals": (value) => Number(value.toFixed(4)),
};

function bodyOf(settings: Settings): Buffer {
  const spell = SPELLINGS[textSetting(settings, "spelling")]!;
  let state = 1;
  const data = Array.from({ length: ELEMENTS }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return spell(Math.fround((state / 2 ** 32) * 4 - 2));
  });
  return Buffer.from(
    JSON.stringify({ inputs: [{ name: "x", shape: [1, ELEMENTS], datatype: "FP32", data }] }),
  );
}

/** One side of the comparison: reads the same body again and again, and keeps the sum of what it read. */
function reading(read: (body: Buffer) => Float32Array): MakeSide {
  return async (settings) => {
    const body = bodyOf(settings);
    let last = 0;
    const once = (): void => {
      last = read(body)[ELEMENTS - 1]!;
    };
    for (let i = 0; i < 20; i++) once();
    return {
      facts: { last },
      measure: async (given) => syncLoop(numberSetting(given, "seconds"), once),
      close: async () => {},
    };
  };
}

interface Parsed {
  readonly inputs: readonly { readonly data: readonly number[] }[];
}

export const sides: Sides = {
  ours: reading((body) => parseInferRequest(body).inputs[0]!.values as Float32Array),
  parse: reading((body) => new Float32Array((JSON.parse(body.toString()) as Parsed).inputs[0]!.data)),
};

export const bench: Bench = {
  name: "json-parse",
  async run(effort) {
    const findings: Finding[] = [];
    for (const spelling of Object.keys(SPELLINGS)) {
      const wanted = {
        ours: { side: "ours", settings: { spelling } },
        parse: { side: "parse", settings: { spelling } },
      };
      const { ours, parse } = await withSides(import.meta.url, wanted, (team) => alternate(team, effort));
      const ratio = value(parse, "p50Ms") / value(ours, "p50Ms");
      findings.push({
        claim: `JSON request of ${ELEMENTS} floats, ${spelling}, against \`JSON.parse\` and a copy`,
        target: `≥ ${TARGET}×`,
        measured: `${ratio.toFixed(2)}× (${value(ours, "p50Ms").toFixed(1)} ms)`,
        met: ratio >= TARGET,
      });
    }
    return findings;
  },
};
