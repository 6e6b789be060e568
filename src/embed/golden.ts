/** A model's vectors beside those that its authors' library made, and each alone beside all in one call. */
import { TenonError } from "../base/index.js";
import { SAMPLE_TEXTS } from "./accuracy.js";
import { cosine } from "./cosine.js";
import type { Quant } from "./graph/names.js";
import type { GoldenVectors } from "./hub/known-facts.js";
import type { EmbedMatrix } from "./matrix.js";

/** What comparing showed. */
export interface GoldenCheck {
  /** The library that made the vectors; undefined where none are known. */
  readonly from: string | undefined;
  /** Texts that were embedded in one call and each alone. */
  readonly texts: number;
  /** The least cosine to its vectors; undefined where none are known. */
  readonly least: number | undefined;
  /** The largest difference of a text's vector alone and in company, as a share of its length. */
  readonly alone: number;
}

/** What a vector may differ: floats by another order of sums, integers by their rounding. */
const LEAST_COSINE: Readonly<Record<Quant, number>> = { none: 0.9999, "int8-row": 0.98 };
const MOST_ALONE = 1e-6;

type Embed = (
  texts: readonly string[],
  options: { readonly prompt: string; readonly truncate: "right" },
) => Promise<EmbedMatrix>;

/** Throws GOLDEN_MISMATCH where vectors are not the known ones, or a text's depend on its company. */
export async function checkGolden(
  embed: Embed,
  golden: GoldenVectors | undefined,
  quant: Quant,
): Promise<GoldenCheck> {
  const texts = golden?.texts ?? [];
  // Enough of them that they run in batches, with padding.
  const all = [...texts, ...SAMPLE_TEXTS];
  const options = { prompt: "", truncate: "right" } as const;
  const together = await embed(all, options);
  const cosines = golden?.vectors.map((vector, row) =>
    cosine(together.row(row), numbersOf(vector, together.dims)),
  );
  const least = cosines === undefined ? undefined : Math.min(...cosines);
  let alone = 0;
  for (const [row, text] of all.entries()) {
    const { data } = await embed([text], options);
    alone = Math.max(alone, difference(data, together.row(row)));
  }
  const check = { from: golden?.from, texts: all.length, least, alone };
  if (least !== undefined && !(least >= LEAST_COSINE[quant])) {
    throw new TenonError("GOLDEN_MISMATCH", {
      problem: `the vectors are not those of ${check.from}`,
      given: `a cosine of ${least.toFixed(5)} on one of ${texts.length} texts`,
      expected: `at least ${LEAST_COSINE[quant]}`,
      do: "pull the model again, and leave out options (pooling, normalize, maxTokens) that its authors do not give",
    });
  }
  if (alone <= MOST_ALONE) return check;
  throw new TenonError("GOLDEN_MISMATCH", {
    problem: "a text's vector depends on the texts beside it",
    given: `a difference of ${alone.toExponential(1)}`,
    expected: `at most ${MOST_ALONE}`,
    do: 'take the model\'s float32 file, with { quant: "int8-row" } where speed counts; verify: false lets it be',
  });
}

function numbersOf(vector: string | ArrayLike<number>, dims: number): ArrayLike<number> {
  const numbers = typeof vector === "string" ? floats(vector) : vector;
  if (numbers.length === dims) return numbers;
  throw new TenonError("DIMS_MISMATCH", {
    problem: "the golden vectors have another size than the model's",
    given: String(numbers.length),
    expected: String(dims),
  });
}

function floats(base64: string): Float32Array {
  const bytes = Buffer.from(base64, "base64");
  return Float32Array.from({ length: bytes.length >> 2 }, (_, i) => bytes.readFloatLE(4 * i));
}

function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let most = 0;
  let squares = 0;
  for (let i = 0; i < b.length; i++) {
    most = Math.max(most, Math.abs(a[i]! - b[i]!));
    squares += b[i]! ** 2;
  }
  return most / Math.max(Math.sqrt(squares), 1e-30);
}
