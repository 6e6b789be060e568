/**
 * A child of the fuzzer: loads and runs mutants `from` to `to` of a seed in this process, which may die of it. Before
 * each it writes `> INDEX`, after it one word for the outcome; the last line tells which mutant ended the process.
 */
import { writeSync } from "node:fs";
import { isTenonError } from "tenon/base";
import type { Trust } from "tenon/onnx";
import { Engine, type Model, type Signature } from "tenon/runtime";
import { full, ones, type Tensor } from "tenon/tensor";
import { mutantAt } from "./mutate.js";
import { seedsNamed } from "./seeds.js";

export type ModelOutcome = "refused" | "unloadable" | "failed" | "ran" | "defect";

/** A size for every symbolic dimension. */
const SIZE = 2;
const LARGEST_INPUT = 1 << 20;

function inputsFor(signature: Signature): Record<string, Tensor> | undefined {
  const inputs: Record<string, Tensor> = {};
  for (const { name, dtype, dims = [] } of signature.inputs) {
    const shape = dims.map((dim) => (typeof dim === "number" ? dim : SIZE));
    if (shape.reduce((size, dim) => size * dim, 1) > LARGEST_INPUT || shape.length > 8) return undefined;
    inputs[name] = dtype === "string" ? full(dtype, shape, "a") : ones(dtype, shape);
  }
  return inputs;
}

async function outcomeOf(engine: Engine, bytes: Uint8Array, trust: Trust): Promise<ModelOutcome> {
  let model: Model;
  try {
    model = await engine.load(bytes, {
      name: "mutant",
      trust,
      calibrate: false,
      batch: { max: 1 },
    });
  } catch (error) {
    if (!isTenonError(error) || error.code === "INTERNAL") return defect(error);
    return "findings" in error.details || error.cause === undefined ? "refused" : "unloadable";
  }
  try {
    const inputs = inputsFor(model.signature);
    if (inputs === undefined) return "failed";
    await model.run(inputs, { deadlineMs: 2000 });
    return "ran";
  } catch (error) {
    return isTenonError(error) && error.code !== "INTERNAL" ? "failed" : defect(error);
  } finally {
    await model.unload();
  }
}

function defect(error: unknown): "defect" {
  writeSync(2, `${(error as Error).stack} ${String((error as Error).cause)}\n`);
  return "defect";
}

const [set, seed, trust, from, to] = process.argv.slice(2);
const seeds = seedsNamed(set === "official" ? "official" : "own");
await using engine = await Engine.open({ cache: false, lanes: 1 });
for (let index = Number(from); index < Number(to); index++) {
  writeSync(1, `> ${index}\n`);
  const bytes = mutantAt(seeds, Number(seed), index);
  writeSync(1, `${await outcomeOf(engine, bytes, trust === "pinned" ? "pinned" : "untrusted")}\n`);
}
