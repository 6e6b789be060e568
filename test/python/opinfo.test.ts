/** PyTorch's own op inputs, exported by PyTorch, converted and run here: each is equal or refused, none is wrong. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { isTenonError } from "tenon/base";
import { Engine, type Model } from "tenon/runtime";
import { readNpy, type Tensor } from "tenon/tensor";
import { convertProgram, knownOps } from "tenon/torch";
import { runPython } from "./onnx-cases.js";

const script = resolve(import.meta.dirname, "../../../test/python/opinfo.py");

/** Samples of each op and dtype; TENON_OPINFO takes more. */
const SAMPLES = process.env.TENON_OPINFO ?? "2";

/** TENON_OPINFO_ONLY takes the ops that match. */
const ONLY = new RegExp(process.env.TENON_OPINFO_ONLY ?? "");

/** Ops whose result PyTorch does not define. */
const UNDEFINED = /^(empty_like|new_empty|empty)$/;

/** Ops whose second result is a place, which PyTorch leaves open where values are equal. */
const PLACES = /^topk$/;

interface Sample {
  readonly n: number;
  readonly op: string;
  readonly args: string;
}

function load(folder: string, n: number, kind: "in" | "out"): Tensor[] {
  const tensors: Tensor[] = [];
  for (let k = 0; existsSync(join(folder, `${n}.${kind}${k}.npy`)); k++)
    tensors.push(readNpy(readFileSync(join(folder, `${n}.${kind}${k}.npy`))));
  return tensors;
}

/** What differs, in words; undefined: nothing beyond rounding. */
function difference(actual: Tensor, expected: Tensor): string | undefined {
  if (actual.dtype !== expected.dtype) return `dtype ${actual.dtype}, not ${expected.dtype}`;
  if (String(actual.shape) !== String(expected.shape))
    return `shape [${actual.shape}], not [${expected.shape}]`;
  const [a, b] = [actual, expected].map((x) =>
    Array.from(x.contiguous().data as ArrayLike<number | bigint>, Number),
  );
  const largest = b!.reduce(
    (most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most),
    0,
  );
  for (let i = 0; i < a!.length; i++) {
    const [x, y] = [a![i]!, b![i]!];
    if (x === y || (Number.isNaN(x) && Number.isNaN(y))) continue;
    const apart = Math.abs(x - y);
    // One element may lose what the largest one cost, as sums do; the runtime's own sigmoid is good to 3e-7.
    if (!(apart <= 1e-5 * Math.abs(y) + 2e-6 * largest + 5e-7)) return `element ${i}: ${x}, not ${y}`;
  }
  return undefined;
}

describe("ATen ops against PyTorch's own samples", () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-opinfo-"));
  let engine: Engine;
  before(async () => {
    engine = await Engine.open({ cache: false });
  });
  after(async () => {
    await engine.close();
    rmSync(folder, { recursive: true });
  });

  test("every sample is equal or refused by name", async (t) => {
    const names = [...new Set(knownOps().map((op) => op.split(".")[1]!))].filter((name) => ONLY.test(name));
    writeFileSync(join(folder, "names.json"), JSON.stringify(names));
    runPython([script, folder, join(folder, "names.json"), SAMPLES]);
    const samples = JSON.parse(readFileSync(join(folder, "index.json"), "utf8")) as readonly Sample[];
    if (!process.env.TENON_OPINFO_ONLY) assert.ok(samples.length > 100, `only ${samples.length} samples`);
    const wrong: string[] = [];
    const counts = { equal: 0, refused: 0 };
    for (const { n, op, args } of samples) {
      if (UNDEFINED.test(op)) continue;
      const label = `${op}(${args})`;
      let model: Awaited<ReturnType<typeof convertProgram>>;
      try {
        model = await convertProgram(join(folder, `${n}.pt2`));
      } catch (error) {
        if (!isTenonError(error, "MODEL_UNSUPPORTED")) wrong.push(`${label}: ${error}`);
        counts.refused++;
        continue;
      }
      let loaded: Model | undefined;
      try {
        loaded = await engine.load(model, { name: `sample${n}`, calibrate: false, allowZero: true });
        const inputs = load(folder, n, "in");
        const { inputs: declared, outputs } = loaded.signature;
        const result = await loaded.run(
          Object.fromEntries(declared.map((value, i) => [value.name, inputs[i]!])),
        );
        const expected = load(folder, n, "out");
        const apart = (PLACES.test(op) ? outputs.slice(0, 1) : outputs)
          .map((value, k) => difference(result[value.name]!, expected[k]!))
          .find(Boolean);
        if (apart === undefined) counts.equal++;
        else wrong.push(`${label}: ${apart}`);
      } catch (error) {
        wrong.push(`${label}: ${error}`);
      } finally {
        await loaded?.unload();
      }
    }
    t.diagnostic(JSON.stringify(counts));
    assert.deepEqual(wrong, []);
  });
});
