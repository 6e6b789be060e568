/** Packed weights in the file beside a compiled model, where ONNX Runtime 1.30 maps them and the kernels read them. */
import { readFile } from "node:fs/promises";

/** What the widest vector loads of the kernels need (AVX-512). */
const VECTOR_BYTES = 64;

/** One `external_data` entry: `prepacked_0` → `MatMul+<hash>|<offset>;<length>;<checksum>|…`, a block per part. */
const ENTRY = /prepacked_\d+[^|]+((?:\|\d+;\d+;\d*)+)/g;

/**
 * Whether every packed block of a compiled model starts on a vector's boundary. ONNX Runtime aligns only blocks above
 * 1 MiB when it writes them; a smaller one behind a tensor of odd length is mapped where it lies, and the first run
 * ends the process with a segmentation fault.
 */
export async function packedWeightsAligned(modelPath: string): Promise<boolean> {
  return packedOffsets(await readFile(modelPath)).every((offset) => offset % VECTOR_BYTES === 0);
}

/** Offsets of all packed blocks that a compiled model names. */
export function packedOffsets(model: Buffer): number[] {
  return [...model.toString("latin1").matchAll(ENTRY)].flatMap(([, blocks]) =>
    blocks!
      .slice(1)
      .split("|")
      .map((block) => Number(block.split(";")[0])),
  );
}
