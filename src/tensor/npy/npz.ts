/** The .npz format of numpy: a zip archive of .npy files. */
import { formatBytes, TenonError } from "../../base/index.js";
import type { Tensor } from "../tensor.js";
import { readNpy, writeNpy } from "./npy.js";
import { readZip, writeZip } from "./zip.js";

/** Options of `readNpz`. */
export interface NpzReadOptions {
  /** Most bytes that all arrays together may take when unpacked. Default 8 GiB. */
  readonly maxBytes?: number | undefined;
}

const MAX_BYTES = 8 * 2 ** 30;

/**
 * The tensors of a .npz archive by name (without `.npy`), as `np.savez` and `np.savez_compressed` write it. Tensors of
 * stored entries are views on the bytes where they are aligned. Throws FILE_INVALID for damaged archives, for entries
 * that are no .npy file and when they would take more than `maxBytes`; else what `readNpy` throws.
 */
export function readNpz(bytes: Uint8Array, options: NpzReadOptions = {}): Record<string, Tensor> {
  const { maxBytes = MAX_BYTES } = options;
  const entries = readZip(bytes).filter(({ name }) => !name.endsWith("/"));
  const total = entries.reduce((sum, { size }) => sum + size, 0);
  if (total > maxBytes) {
    throw new TenonError("FILE_INVALID", {
      problem: "the archive is too large when unpacked",
      given: formatBytes(total),
      expected: `at most ${formatBytes(maxBytes)}`,
      do: "raise maxBytes if you trust it",
    });
  }
  return Object.fromEntries(
    entries.map(({ name, read }) => {
      if (name.endsWith(".npy")) return [name.slice(0, -4), readNpy(read())];
      throw new TenonError("FILE_INVALID", {
        problem: "an entry of the archive is no .npy file",
        given: JSON.stringify(name),
      });
    }),
  );
}

/** Options of `writeNpz`. */
export interface NpzWriteOptions {
  /** Deflate the arrays. Default false: stored, so that they can be viewed in place. */
  readonly compress?: boolean | undefined;
}

/**
 * The bytes of a .npz archive with the tensors by name; equal tensors give equal bytes. Throws what `writeNpy` throws,
 * and FILE_INVALID from 4 GiB on.
 */
export function writeNpz(
  tensors: Readonly<Record<string, Tensor>>,
  options: NpzWriteOptions = {},
): Uint8Array {
  const entries = Object.entries(tensors).map(([name, tensor]) => ({
    name: `${name}.npy`,
    data: writeNpy(tensor),
  }));
  return writeZip(entries, options.compress ?? false);
}
