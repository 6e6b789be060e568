/**
 * Runs official test cases through reader, writer and engine; a process of its own, since a case may end it.
 * Takes paths of models on standard input, one a line; prints `start NAME`, then `NAME status reason` as JSON.
 */
import { readFileSync } from "node:fs";
import { Engine, TenonError, Tensor } from "tenon";
import {
  foldConstants,
  infer,
  inlineFunctions,
  type OnnxModel,
  readModel,
  removeDead,
  removeIdentity,
  run,
  stripEmpties,
  untie,
  upgrade,
  writeModel,
} from "tenon/onnx";
import { bfloat16ToNumber, dtypeInfo, float16ToNumber } from "tenon/tensor";
import type { CaseValue } from "./case-data.js";
import { caseName, readDataSets } from "./cases.js";

export interface CaseResult {
  readonly name: string;
  readonly status: "pass" | "differs" | "refused" | "crash";
  readonly reason: string;
}

/** The official runner's tolerances. */
const RELATIVE = 1e-3;
const ABSOLUTE = 1e-5;

/** The newest opset of the default domain that ONNX Runtime 1.30 takes. */
const NEWEST_OPSET = 26;

/** Ops whose values are random: their shapes and element types are compared. */
const RANDOM = new Set([
  "Bernoulli",
  "Multinomial",
  "RandomNormal",
  "RandomNormalLike",
  "RandomUniform",
  "RandomUniformLike",
]);

function difference(given: CaseValue, expected: CaseValue, valuesToo: boolean): string | undefined {
  if (!(given instanceof Tensor) || !(expected instanceof Tensor)) return "not a tensor";
  if (given.dtype !== expected.dtype) return `${given.dtype} instead of ${expected.dtype}`;
  if (given.shape.join() !== expected.shape.join()) {
    return `shape [${given.shape.join(", ")}] instead of [${expected.shape.join(", ")}]`;
  }
  if (!valuesToo) return undefined;
  const { kind, bits } = dtypeInfo(given.dtype);
  if (given.dtype === "float8e5m2")
    return sameBytes(given, expected, (byte) => ((byte & 0x7f) > 0x7c ? 0x7f : byte));
  if (kind !== "float" || bits < 16) {
    if (kind !== "string") return sameBytes(given, expected, (byte) => byte);
    return String(given.data) === String(expected.data) ? undefined : "other values";
  }
  const [a, b] = [numbersOf(given), numbersOf(expected)];
  let worst = 0;
  for (const [i, value] of a.entries()) {
    const wanted = b[i]!;
    if (Object.is(value, wanted) || value === wanted || (Number.isNaN(value) && Number.isNaN(wanted)))
      continue;
    const off = Math.abs(value - wanted);
    if (!(off <= ABSOLUTE + RELATIVE * Math.abs(wanted)))
      worst = Math.max(worst, Number.isNaN(off) ? Infinity : off);
  }
  return worst === 0 ? undefined : `values differ by up to ${worst.toPrecision(1)}`;
}

/** `plain` makes equal what means the same: the several NaNs of a float8. */
function sameBytes(given: Tensor, expected: Tensor, plain: (byte: number) => number): string | undefined {
  const [a, b] = [given.contiguous().bytes.map(plain), expected.contiguous().bytes.map(plain)];
  return Buffer.from(a).equals(b) ? undefined : "other values";
}

function numbersOf(tensor: Tensor): number[] {
  const dense = tensor.contiguous();
  const data = Array.from(dense.data as ArrayLike<number>);
  if (tensor.dtype === "float16") return data.map(float16ToNumber);
  return tensor.dtype === "bfloat16" ? data.map(bfloat16ToNumber) : data;
}

function isRandom({ graph, functions }: OnnxModel): boolean {
  const nodes = [...graph.nodes, ...[...functions.values()].flatMap((fn) => fn.nodes)];
  return nodes.some(({ op }) => RANDOM.has(op));
}

async function runCase(engine: Engine, path: string): Promise<CaseResult> {
  const name = caseName(path);
  let opset = 0;
  try {
    const model = await readModel(path);
    opset = model.opsets.get("") ?? 0;
    const bytes = writeModel(prepared(model));
    const loaded = await engine.load(bytes, { name, allowZero: true, calibrate: false, batch: { max: 1 } });
    try {
      const valuesToo = !isRandom(model);
      for (const set of await readDataSets(path, model)) {
        const inputs: Record<string, Tensor> = {};
        for (const [i, value] of set.inputs.entries()) {
          if (!(value instanceof Tensor)) return { name, status: "refused", reason: "an input is no tensor" };
          inputs[model.graph.inputs[i]!.name] = value;
        }
        const outputs = await loaded.run(inputs, { deadlineMs: 60_000 });
        for (const [i, expected] of set.outputs.entries()) {
          const output = model.graph.outputs[i]!.name;
          const found = difference(outputs[output]!, expected, valuesToo);
          if (found !== undefined) return { name, status: "differs", reason: `${output}: ${found}` };
        }
      }
    } finally {
      await loaded.unload();
    }
    return { name, status: "pass", reason: "" };
  } catch (error) {
    return { name, status: "refused", reason: reasonOf(error, opset) };
  }
}

/** With TENON_CASE_OPSET the model is upgraded first, with TENON_CASE_PASSES the standard passes run. */
function prepared(model: OnnxModel): OnnxModel {
  const target = Number(process.env.TENON_CASE_OPSET ?? 0);
  const upgraded = target === 0 ? model : upgrade(model, target);
  if (process.env.TENON_CASE_PASSES === undefined) return upgraded;
  return run(infer(upgraded), [
    inlineFunctions(),
    foldConstants,
    untie,
    removeIdentity,
    stripEmpties,
    removeDead,
  ]);
}

function reasonOf(error: unknown, opset: number): string {
  if (opset > NEWEST_OPSET) return `opset ${opset} is newer than the runtime`;
  if (!(error instanceof TenonError)) return String(error);
  // What to do stands behind what is wrong.
  const problem = error.message.split(/; (?:expected|do): /)[0]!.replaceAll(/\s+/g, " ");
  return `${error.code} ${problem}`.slice(0, 140);
}

const paths = readFileSync(0, "utf8")
  .split("\n")
  .filter((line) => line !== "");
const engine = await Engine.open({ cache: false, lanes: 1 });
for (const path of paths) {
  process.stdout.write(`start ${caseName(path)}\n`);
  process.stdout.write(`${JSON.stringify(await runCase(engine, path))}\n`);
}
await engine.close();
