/** Probes: seeded inputs that most models take, runs of them, and the numbers that come out. */
import {
  allocateStorage,
  bfloat16ToNumber,
  type DType,
  denseLayout,
  dtypeInfo,
  float16ToNumber,
  numberToBfloat16,
  numberToFloat16,
  type Storage,
  StringStorage,
  sizeOf,
  Tensor,
} from "../tensor/core.js";
import type { BatchOutputs } from "./lane.js";
import type { RunLane } from "./session.js";
import type { Signature } from "./signature.js";

/** Elements of all inputs of a probe. A file of a few bytes may declare any number, and probes are made in this process. */
const PROBE_LIMIT = 2 ** 24;
/** Values are drawn for so many elements and then repeated; a prime, so that rows of no length fall on each other. */
const PERIOD = 65_521;

/** Why inputs of these shapes are not tried; undefined when they are. */
export function overProbeLimit(shapes: readonly (readonly number[])[]): string | undefined {
  const elements = shapes.reduce((sum, shape) => sum + shape.reduce((size, dim) => size * dim, 1), 0);
  if (elements <= PROBE_LIMIT) return undefined;
  return `its inputs have ${elements} elements, and nothing of more than ${PROBE_LIMIT} is tried before it is asked for`;
}

/** Runs `rows` rows of inputs on a lane that nothing else uses. */
export function runProbe(
  signature: Signature,
  lane: RunLane,
  inputs: readonly Tensor[],
  rows: number,
): Promise<readonly Tensor[]> {
  return new Promise((resolve, reject) => {
    const outputs = signature.outputs.map((_, i) => i);
    lane.run(
      { members: [{ inputs, rows, into: undefined }], rows, outputs },
      (error, result: BatchOutputs | null) => {
        if (error !== null) reject(error);
        else resolve(result!.tensors);
      },
    );
  });
}

/** Seeded values that most models take: floats from a normal distribution, integers 0 and 1, strings "a". */
export function probeOfShape(dtype: DType, shape: readonly number[], seed: number): Tensor {
  const elements = sizeOf(shape);
  if (dtype === "string")
    return new Tensor(
      dtype,
      StringStorage.fromStrings(new Array<string>(elements).fill("a")),
      denseLayout(shape),
    );
  const storage = allocateStorage(dtype, elements);
  const random = mulberry32(seed);
  const { kind, bits } = dtypeInfo(dtype);
  const encode = dtype === "float16" ? numberToFloat16 : dtype === "bfloat16" ? numberToBfloat16 : undefined;
  const drawn = Math.min(storage.length, PERIOD);
  for (let i = 0; i < drawn; i++) {
    if (kind === "float" && bits >= 16) {
      const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
      storage[i] = encode === undefined ? normal : encode(normal);
    } else if (typeof storage[i] === "bigint") storage[i] = random() < 0.5 ? 0n : 1n;
    else storage[i] = random() < 0.5 ? 0 : 1;
  }
  for (let done = drawn; done < storage.length; done *= 2) storage.copyWithin(done, 0, done);
  return new Tensor(dtype, storage as unknown as Storage, denseLayout(shape));
}

/** Seeded generator of numbers in [0, 1) (mulberry32). */
function mulberry32(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A dense tensor's numbers by index. */
export function numbersOf(tensor: Tensor): (index: number) => number | bigint | string {
  const data = tensor.data as unknown as ArrayLike<number | bigint | string>;
  const decode =
    tensor.dtype === "float16" ? float16ToNumber : tensor.dtype === "bfloat16" ? bfloat16ToNumber : undefined;
  return decode === undefined ? (index) => data[index]! : (index) => decode(data[index] as number);
}
