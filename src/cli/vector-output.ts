/** Vectors into a file, in the format that its ending names, or as JSONL on stdout. */
import { once } from "node:events";
import { extname } from "node:path";
import { replaceFile, TenonError } from "../base/index.js";
import type { EmbedMatrix } from "../embed/index.js";
import { float16ToNumber, writeNpy } from "../tensor/index.js";
import { checkOutputFolder } from "./output-folder.js";

type Writer = (path: string, matrix: EmbedMatrix) => Promise<void>;

const WRITERS: Readonly<Record<string, Writer>> = {
  ".npy": (path, matrix) => replaceFile(path, [writeNpy(matrix.tensor())]),
  ".json": (path, matrix) => replaceFile(path, jsonPieces(matrix)),
  ".jsonl": (path, matrix) => replaceFile(path, jsonlPieces(matrix)),
  ".parquet": async (path, matrix) => {
    const { sink } = await import("../data/index.js");
    await using file = sink.parquet(path);
    const index = BigInt64Array.from({ length: matrix.rows }, (_, i) => BigInt(i));
    await file.write({ index, embedding: matrix.tensor() });
    await file.commit();
  },
};

/** Throws USAGE for an ending that is not known and a folder that is not there, before any work. */
export function checkVectorOutput(path: string | undefined): void {
  if (path === undefined || path === "-") return;
  checkOutputFolder(path);
  if (WRITERS[extname(path).toLowerCase()] !== undefined) return;
  throw new TenonError("USAGE", {
    problem: "the ending of --output is not known",
    given: path,
    expected: Object.keys(WRITERS).join(", "),
  });
}

/** Writes a file, whole or not at all; without a path JSONL to stdout. */
export async function writeVectors(path: string | undefined, matrix: EmbedMatrix): Promise<void> {
  if (path !== undefined && path !== "-") {
    await WRITERS[extname(path).toLowerCase()]!(path, matrix);
    return;
  }
  for (const piece of jsonlPieces(matrix))
    if (!process.stdout.write(piece)) await once(process.stdout, "drain");
}

const ROWS_A_PIECE = 256;

function* jsonPieces(matrix: EmbedMatrix): Generator<Uint8Array> {
  yield Buffer.from("[");
  for (let from = 0; from < matrix.rows; from += ROWS_A_PIECE) {
    const rows = rowTexts(matrix, from).join(",");
    yield Buffer.from(from === 0 ? rows : `,${rows}`);
  }
  yield Buffer.from("]\n");
}

function* jsonlPieces(matrix: EmbedMatrix): Generator<Uint8Array> {
  for (let from = 0; from < matrix.rows; from += ROWS_A_PIECE) {
    const lines = rowTexts(matrix, from).map((row, i) => `{"index":${from + i},"embedding":${row}}\n`);
    yield Buffer.from(lines.join(""));
  }
}

function rowTexts(matrix: EmbedMatrix, from: number): string[] {
  const half = matrix.data instanceof Uint16Array;
  return Array.from({ length: Math.min(ROWS_A_PIECE, matrix.rows - from) }, (_, i) => {
    const row: Iterable<number> = matrix.row(from + i);
    return `[${(half ? Array.from(row, float16ToNumber) : [...row]).join(",")}]`;
  });
}
