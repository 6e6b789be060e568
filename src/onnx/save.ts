/** saveModel: a model as a file, with its weights inside, beside it, or where they already are. */
import { basename, dirname, join, relative, sep } from "node:path";
import { formatBytes, replaceFile, TenonError } from "../base/index.js";
import { type Encoded, encode } from "./encode.js";
import type { Model, TensorData } from "./graph.js";
import { MODEL } from "./proto.js";
import { type Chunk, chunkLength, piecesOf, resolvePath } from "./source.js";
import { rawBytes } from "./tensor-data.js";
import { modelToProto, type PlaceWeight } from "./to-proto.js";
import { embed, MAX_FILE } from "./write.js";

export interface SaveOptions {
  /**
   * `keep` (default): inline weights inside, external ones stay in their file if that lies in the output folder (any
   * file format: a weight file of another framework serves as it is), else go inside. `embed`: all inside.
   * `external`: initializers of `threshold` bytes and more go into one data file.
   */
  readonly weights?: "keep" | "embed" | "external";
  /** Bytes; default 1024. */
  readonly threshold?: number;
  /** Name of the data file, in the output folder; default the model's name plus `.data`. */
  readonly dataFile?: string;
  /** Called as bytes are written, with the bytes of all files together. */
  readonly onWrite?: (written: number, total: number) => void;
}

/** Weights of this size start on a page, so that they can be mapped; smaller ones on a cache line. */
const PAGE_FROM = 2 ** 20;
const PAGE = 4096;
const CACHE_LINE = 64;

/**
 * Writes a model. Files appear complete or not at all: each is written under a temporary name, synced and renamed,
 * the data file first. Weights are streamed. Throws MODEL_UNSUPPORTED when the file would reach 2 GiB, and
 * FILE_INVALID when a file that holds weights changed after the model was read.
 */
export async function saveModel(model: Model, path: string, options: SaveOptions = {}): Promise<void> {
  const folder = dirname(path);
  const placed = new DataFile(options.dataFile ?? `${basename(path)}.data`, options.threshold ?? 1024);
  const place = {
    keep: keepIn(resolvePath(folder)),
    embed,
    external: (data: TensorData, isInitializer: boolean) => (isInitializer ? placed.add(data) : embed(data)),
  }[options.weights ?? "keep"];
  const encoded = encode(modelToProto(model, place), MODEL);
  if (encoded.length > MAX_FILE) {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: "an ONNX file cannot hold this many bytes",
      given: formatBytes(encoded.length),
      expected: "less than 2 GiB",
      do: 'save with weights: "external"',
    });
  }
  const total = placed.length + encoded.length;
  let written = 0;
  async function* counted(content: Encoded): AsyncGenerator<Uint8Array> {
    for await (const piece of piecesIn(content)) {
      yield piece;
      written += piece.byteLength;
      options.onWrite?.(written, total);
    }
  }
  if (placed.chunks.length > 0) await replaceFile(join(folder, placed.name), counted(placed));
  await replaceFile(path, counted(encoded));
}

/** External weights in a file of the folder are named from there; others go inside. */
function keepIn(folder: string): PlaceWeight {
  return (data) => {
    const { payload } = data;
    if (payload.in !== "external" || payload.range === undefined) return data;
    const { range } = payload;
    if (range instanceof Uint8Array || !range.file.path.startsWith(folder + sep)) return embed(data);
    const location = relative(folder, range.file.path).replaceAll(sep, "/");
    return external(data, location, range.offset, range);
  };
}

function external(data: TensorData, location: string, offset: number, range: Chunk): TensorData {
  const entries = new Map([
    ["location", location],
    ["offset", String(offset)],
    ["length", String(chunkLength(range))],
  ]);
  return { ...data, payload: { in: "external", entries, range } };
}

/** Collects the weights of a data file with the padding between them. */
class DataFile implements Encoded {
  readonly name: string;
  readonly chunks: Chunk[] = [];
  length = 0;
  readonly #threshold: number;

  constructor(name: string, threshold: number) {
    if (name !== basename(name) || name.includes("\\")) {
      throw new TenonError("USAGE", {
        problem: "the data file lies beside the model",
        given: name,
        expected: "a bare file name",
      });
    }
    this.name = name;
    this.#threshold = threshold;
  }

  add(data: TensorData): TensorData {
    const bytes = rawBytes(data);
    if (bytes === undefined || chunkLength(bytes) < this.#threshold) return embed(data);
    const size = chunkLength(bytes);
    const alignment = size >= PAGE_FROM ? PAGE : CACHE_LINE;
    const offset = Math.ceil(this.length / alignment) * alignment;
    if (offset > this.length) this.chunks.push(new Uint8Array(offset - this.length));
    this.chunks.push(bytes);
    this.length = offset + size;
    return external(data, this.name, offset, bytes);
  }
}

async function* piecesIn(content: Encoded): AsyncGenerator<Uint8Array> {
  for (const chunk of content.chunks) yield* piecesOf(chunk);
}
