/** Recognises the batch axis from the declared dims and proves by runs that rows do not influence each other. */
import { isTenonError } from "../base/index.js";
import {
  allocateStorage,
  type DType,
  denseLayout,
  dtypeInfo,
  type Storage,
  StringStorage,
  Tensor,
} from "../tensor/core.js";
import type { Padding } from "./padding.js";
import { numbersOf, overProbeLimit, probeOfShape, runProbe } from "./probe.js";
import type { RunLane } from "./session.js";
import type { Signature, SignatureDim, ValueSignature } from "./signature.js";

export interface BatchAxis {
  /** True when requests can share a run, one row or more each. */
  readonly batchable: boolean;
  /** Why not, when it is false. */
  readonly reason?: string;
  /** Largest differences seen between a row alone and in company, by output name. */
  readonly invariance?: Readonly<Record<string, { readonly maxAbs: number; readonly maxUlp: number }>>;
  /** Milliseconds of the second single-row run. */
  readonly rowMs?: number;
  /** Input shapes of the single-row probe. */
  readonly probe?: readonly (readonly number[])[];
  /** Whether requests of other lengths share runs. */
  readonly padding?: Padding;
}

/** Sizes tried for free dimensions: small first; convolutional models need more. */
const PROBE_SIZES = [8, 32, 64] as const;
const SEED = 0x7e4041;

/** Differences up to this share of the largest value are last digits of another summation order. */
const ROUNDING: Readonly<Record<string, number>> = {
  float64: 1e-4,
  float32: 1e-4,
  float16: 2e-2,
  bfloat16: 5e-2,
};

/** Why the declared dims rule a batch axis out; undefined when they allow one. */
export function declaredObstacle(signature: Signature): string | undefined {
  const values = [...signature.inputs, ...signature.outputs];
  if (signature.inputs.length === 0) return "the model has no inputs";
  for (const { name, dims } of values) {
    if (dims === undefined) return `the rank of "${name}" is not declared`;
    if (dims.length === 0) return `"${name}" is a scalar`;
    if (typeof dims[0] === "number") return `the leading dimension of "${name}" is fixed to ${dims[0]}`;
  }
  const leading = new Set(signature.inputs.map(({ dims }) => dims![0] as string | null));
  if (leading.size > 1) return "the inputs' leading dimensions have different symbols";
  const symbol = [...leading][0];
  const reused = symbol !== null && values.some(({ dims }) => dims!.slice(1).includes(symbol!));
  return reused ? `the symbol "${symbol}" is not only a leading dimension` : undefined;
}

/** Runs rows alone and together on an idle lane. Never throws for a model that cannot be probed: it is then unbatched. */
export async function proveBatchAxis(signature: Signature, lane: RunLane): Promise<BatchAxis> {
  const obstacle = declaredObstacle(signature);
  if (obstacle !== undefined) return { batchable: false, reason: obstacle };
  let reason = "";
  for (const size of PROBE_SIZES) {
    try {
      return await compareRows(signature, lane, size);
    } catch (error) {
      if (!isTenonError(error)) throw error;
      reason = `a probe with free dimensions of ${size} did not run: ${error.message}`;
      if (!hasFreeDims(signature)) break;
    }
  }
  return { batchable: false, reason };
}

function hasFreeDims(signature: Signature): boolean {
  return signature.inputs.some(({ dims }) => dims!.slice(1).some((dim) => typeof dim !== "number"));
}

async function compareRows(signature: Signature, lane: RunLane, size: number): Promise<BatchAxis> {
  const shapes = signature.inputs.map((spec) => rowOf(spec, size));
  const large = overProbeLimit(shapes);
  if (large !== undefined) return { batchable: false, reason: large };
  const rows = [0, 1].map((row) =>
    signature.inputs.map(({ dtype }, i) => probeOfShape(dtype, shapes[i]!, SEED + 97 * i + row)),
  );
  const first = await runProbe(signature, lane, rows[0]!, 1);
  const startedAt = performance.now();
  const second = await runProbe(signature, lane, rows[1]!, 1);
  const rowMs = performance.now() - startedAt;
  const both = signature.inputs.map((_, i) => concatRows(rows[0]![i]!, rows[1]![i]!));
  const together = await runProbe(signature, lane, both, 2);
  const probe = rows[0]!.map((tensor) => tensor.shape);

  const invariance: Record<string, { maxAbs: number; maxUlp: number }> = {};
  for (let output = 0; output < signature.outputs.length; output++) {
    const { name } = signature.outputs[output]!;
    const alone = [first[output]!, second[output]!];
    const joint = together[output]!;
    const rowShape = alone[0]!.shape.slice(1).join(",");
    const shapesFit =
      alone.every((tensor) => tensor.shape[0] === 1 && tensor.shape.slice(1).join(",") === rowShape) &&
      joint.shape[0] === 2 &&
      joint.shape.slice(1).join(",") === rowShape;
    if (!shapesFit) {
      return {
        batchable: false,
        reason: `the rows of output "${name}" do not follow the rows of the inputs`,
        rowMs,
        probe,
      };
    }
    const difference = compare(alone, joint);
    invariance[name] = { maxAbs: difference.maxAbs, maxUlp: difference.maxUlp };
    if (!difference.withinRounding) {
      return {
        batchable: false,
        reason: `rows influence each other in output "${name}" (difference ${difference.maxAbs.toPrecision(3)})`,
        invariance,
        rowMs,
        probe,
      };
    }
  }
  return { batchable: true, invariance, rowMs, probe };
}

/** The shape of one row; free dimensions other than the leading one have `size`. */
function rowOf({ dims }: ValueSignature, size: number): readonly number[] {
  return dims!.map((dim: SignatureDim, axis) => (axis === 0 ? 1 : typeof dim === "number" ? dim : size));
}

function concatRows(a: Tensor, b: Tensor): Tensor {
  const shape = [2, ...a.shape.slice(1)];
  if (a.dtype === "string") {
    return new Tensor(
      a.dtype,
      StringStorage.fromStrings([...(a.data as readonly string[]), ...(b.data as readonly string[])]),
      denseLayout(shape),
    );
  }
  const storage = allocateStorage(a.dtype, 2 * a.size);
  const half = storage.length / 2;
  const [first, second] = [a.data, b.data] as unknown as [Float64Array, Float64Array];
  (storage as Float64Array).set(first.subarray(0, half), 0);
  (storage as Float64Array).set(second.subarray(0, half), half);
  return new Tensor(a.dtype, storage as unknown as Storage, denseLayout(shape));
}

function compare(
  alone: readonly Tensor[],
  joint: Tensor,
): { maxAbs: number; maxUlp: number; withinRounding: boolean } {
  const tolerance = ROUNDING[joint.dtype];
  const rowSize = joint.size / 2;
  let maxAbs = 0;
  let maxUlp = 0;
  let largest = 0;
  let same = true;
  for (let row = 0; row < 2; row++) {
    const single = numbersOf(alone[row]!);
    const shared = numbersOf(joint);
    for (let i = 0; i < rowSize; i++) {
      const x = single(i);
      const y = shared(row * rowSize + i);
      if (Object.is(x, y) || x === y) continue;
      same = false;
      if (typeof x !== "number" || typeof y !== "number" || Number.isNaN(x - y)) {
        maxAbs = maxUlp = Number.POSITIVE_INFINITY;
        continue;
      }
      largest = Math.max(largest, Math.abs(x));
      maxAbs = Math.max(maxAbs, Math.abs(x - y));
      maxUlp = Math.max(maxUlp, ulps(joint.dtype, x, y));
    }
  }
  const scale = scaleOf(joint);
  return {
    maxAbs,
    maxUlp,
    withinRounding: same || (tolerance !== undefined && maxAbs <= tolerance * Math.max(scale, largest)),
  };
}

function scaleOf(tensor: Tensor): number {
  const at = numbersOf(tensor);
  let scale = 0;
  for (let i = 0; i < tensor.size; i++) {
    const value = at(i);
    if (typeof value === "number" && Number.isFinite(value)) scale = Math.max(scale, Math.abs(value));
  }
  return scale;
}

const floats = new Float32Array(2);
const words = new Int32Array(floats.buffer);

/** Distance in units of the last place of float32 (the other dtypes: of their difference seen as float32). */
function ulps(dtype: DType, x: number, y: number): number {
  if (dtypeInfo(dtype).kind !== "float") return Number.POSITIVE_INFINITY;
  floats[0] = x;
  floats[1] = y;
  const order = (bits: number): number => (bits < 0 ? -(bits & 0x7fffffff) : bits);
  return Math.abs(order(words[0]!) - order(words[1]!));
}
