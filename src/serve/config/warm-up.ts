/** `model_warmup`: the requests that a model answers before it takes its place. */
import { lstat, readFile } from "node:fs/promises";
import { join } from "node:path";
import { TenonError } from "../../base/index.js";
import {
  allocateStorage,
  byteLengthOf,
  type DType,
  dtypeFromOip,
  type NumericArray,
  StringStorage,
  type Tensor,
  tensorFromStorage,
} from "../../tensor/index.js";
import { BinarySection } from "../oip/binary.js";
import type { ServedModel } from "../served-model.js";
import type { Config, ConfigFile } from "./config-file.js";

type Sample = Config["model_warmup"][number];
type SampleInput = Sample["inputs"] extends Map<string, infer I> ? I : never;

/** Most elements of one input, and most runs of one sample. */
const MOST_ELEMENTS = 1 << 26;
const MOST_RUNS = 1000;
const MOST_STRING_BYTES = 1 << 24;

/** For models that take sequences only: one of a single request. */
const WARM_UP = { id: 2 ** 31 - 1, start: true, end: true };

/** Runs every sample as often as it says. Throws CONFIG_INVALID for samples that are none, and what a run throws. */
export async function warmUp(file: ConfigFile, model: ServedModel): Promise<void> {
  for (const sample of file.config.model_warmup) {
    const inputs: Record<string, Tensor> = Object.create(null);
    for (const [name, input] of sample.inputs) {
      inputs[name] = await sampleTensor(file, sample, name, input);
    }
    if (sample.count > MOST_RUNS)
      throw file.invalid(`count is ${sample.count}`, "count", sample, `at most ${MOST_RUNS}`);
    for (let run = 0; run < Math.max(1, sample.count); run++) {
      const outputs = await model.run(inputs, { sequence: WARM_UP }).catch((cause: unknown) => {
        const why = cause instanceof TenonError ? `: ${cause.message}` : "";
        const problem = `the warm-up "${sample.name}" does not run${why}`;
        throw new TenonError("MODEL_INVALID", {
          problem: `${file.place("model_warmup")}: ${problem}`,
          cause,
        });
      });
      outputs[Symbol.dispose]();
    }
  }
}

async function sampleTensor(
  file: ConfigFile,
  sample: Sample,
  name: string,
  input: SampleInput,
): Promise<Tensor> {
  const typeName = String(input.data_type).replace(/^TYPE_/, "");
  const dtype = dtypeFromOip(typeName === "STRING" ? "BYTES" : typeName);
  if (dtype === undefined) throw file.invalid(`${name} has no data_type`, "data_type", input);
  const shape = [...(sample.batch_size > 0 ? [sample.batch_size] : []), ...input.dims.map(Number)];
  const size = shape.reduce((product, dim) => product * dim, 1);
  if (shape.some((dim) => dim < 1) || size > MOST_ELEMENTS) {
    const expected = `sizes of at least 1, and ${MOST_ELEMENTS} elements at most`;
    throw file.invalid(`${name} has dims [${input.dims.join(", ")}]`, "dims", input, expected);
  }
  if (input.input_data_file !== undefined) {
    return fileTensor(file, name, input, dtype, shape, size);
  }
  if (dtype === "string") {
    return tensorFromStorage(dtype, shape, StringStorage.fromStrings(new Array<string>(size).fill("")));
  }
  const data = allocateStorage(dtype, size);
  if (input.random_data === true) fillRandom(data);
  return tensorFromStorage(dtype, shape, data as never); // made for this dtype
}

/** Floats from 0 to 1, integers 0 and 1; what is stored as bits of half floats is tiny. */
function fillRandom(data: NumericArray): void {
  let state = 1;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    const random = state / 2 ** 32;
    if (data instanceof Float32Array || data instanceof Float64Array) data[i] = random;
    else if (typeof data[i] === "bigint") data[i] = BigInt(Math.round(random));
    else data[i] = Math.round(random);
  }
}

/** Raw bytes, in the form of the binary protocol, from `warmup/` beside the configuration. */
async function fileTensor(
  file: ConfigFile,
  name: string,
  input: SampleInput,
  dtype: DType,
  shape: readonly number[],
  size: number,
): Promise<Tensor> {
  const fileName = input.input_data_file ?? "";
  const fail = (problem: string): TenonError => file.invalid(problem, "input_data_file", input);
  if (!/^[A-Za-z0-9_-][A-Za-z0-9._ -]*$/.test(fileName))
    throw fail(`input_data_file "${fileName}" is no file in the folder "warmup"`);
  const path = join(file.folder, "warmup", fileName);
  const found = await lstat(path).catch(() => undefined);
  if (found?.isFile() !== true || found.size > byteLengthOf("uint8", MOST_ELEMENTS))
    throw fail(`input_data_file "${fileName}" is not there, no file, or too large`);
  const bytes = await readFile(path);
  if (dtype !== "string" && bytes.length !== byteLengthOf(dtype, size))
    throw fail(`input_data_file "${fileName}" has ${bytes.length} bytes for ${byteLengthOf(dtype, size)}`);
  const section = new BinarySection(bytes, file.model, MOST_STRING_BYTES);
  const tensor = section.take(name, dtype, shape, size, bytes.length);
  section.finish();
  return tensor;
}
