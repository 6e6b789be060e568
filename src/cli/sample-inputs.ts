/** Made-up inputs that fit a signature: for measuring a model without data. */
import { suggest, TenonError } from "../base/index.js";
import type { Signature, ValueSignature } from "../runtime/index.js";
import {
  allocateStorage,
  dtypeInfo,
  type Storage,
  StringStorage,
  sizeOf,
  type Tensor,
  tensorFromStorage,
  writeElement,
} from "../tensor/index.js";

/** Sizes of symbolic dimensions by name. */
export type DimSizes = Readonly<Record<string, number>>;

/** `seq=64` texts as sizes; throws USAGE. */
export function parseDims(texts: readonly string[], signature: Signature): DimSizes {
  const known = symbolsOf(signature);
  const sizes: Record<string, number> = {};
  for (const text of texts) {
    const match = /^(.+)=([1-9][0-9]{0,8})$/.exec(text);
    if (match === null)
      throw new TenonError("USAGE", { given: `--dim ${text}`, expected: "NAME=SIZE, such as seq=64" });
    if (!known.includes(match[1]!)) {
      throw new TenonError("USAGE", {
        problem: "the model has no symbolic dimension of this name",
        given: match[1]!,
        expected: known.length === 0 ? "none: every dimension is fixed" : suggest(match[1]!, known),
      });
    }
    sizes[match[1]!] = Number(match[2]);
  }
  return sizes;
}

/**
 * One tensor per input. The first dimension is `rows` where it is free and `batched` holds; other symbolic dimensions
 * take their size from `dims`. Throws USAGE that names the dimensions without a size.
 */
export function sampleInputs(
  signature: Signature,
  options: { readonly rows: number; readonly batched: boolean; readonly dims: DimSizes },
): Record<string, Tensor> {
  const missing = new Set<string>();
  const made = signature.inputs.map((input) => {
    const shape = (input.dims ?? []).map((dim, axis) => {
      if (typeof dim === "number") return dim;
      if (axis === 0 && options.batched) return options.rows;
      const size = dim === null ? undefined : options.dims[dim];
      if (size === undefined) missing.add(dim ?? `axis ${axis} of "${input.name}"`);
      return size ?? 1;
    });
    return [input, shape] as const;
  });
  if (missing.size > 0) {
    throw new TenonError("USAGE", {
      problem: "the model leaves dimensions open",
      given: [...missing].join(", "),
      expected: "a size for each",
      do: "give --dim NAME=SIZE, or a real row with --input",
    });
  }
  return Object.fromEntries(made.map(([input, shape]) => [input.name, sample(input, shape)]));
}

function sample({ dtype }: ValueSignature, shape: readonly number[]): Tensor {
  const size = sizeOf(shape);
  if (dtype === "string") {
    const texts = Array.from({ length: size }, (_, i) => `text ${i}`);
    return tensorFromStorage(dtype, shape, StringStorage.fromStrings(texts));
  }
  const storage = allocateStorage(dtype, size);
  const { kind } = dtypeInfo(dtype);
  // A seeded sequence: every run measures the same. Integers stay 0 or 1, which fits any table they may index.
  let state = 1;
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const bit = state >>> 31;
    if (kind === "float") writeElement(dtype, storage, i, bit === 1 ? 0.5 : 1);
    else if (kind === "complex") writeElement(dtype, storage, i, [bit, 0]);
    else writeElement(dtype, storage, i, kind === "bool" ? bit === 1 : bit);
  }
  // The storage was made for this dtype.
  return tensorFromStorage(dtype, shape, storage as Storage<typeof dtype>);
}

function symbolsOf({ inputs }: Signature): string[] {
  const names = inputs.flatMap(({ dims }) => dims ?? []).filter((dim) => typeof dim === "string");
  return [...new Set(names)];
}
