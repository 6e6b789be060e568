/** readModel: an ONNX file or its bytes as a Model, weights left where they are. */
import { dirname } from "node:path";
import { TenonError } from "../base/index.js";
import { decode } from "./decode.js";
import { type ExternalOptions, externalFiles } from "./external.js";
import { modelFromProto } from "./from-proto.js";
import type { Model } from "./graph.js";
import { invalid } from "./invalid.js";
import { MODEL } from "./proto.js";
import { BytesSource, FileSource, resolvePath, type Source } from "./source.js";
import { MAX_FILE } from "./write.js";

export interface ReadOptions extends ExternalOptions {
  /** Folder of the external data of a model that is given as bytes; without it their data stays unresolved. */
  readonly baseDir?: string;
}

/** Reading gives way to other work after this many milliseconds. */
const TURN_MS = 4;

/**
 * Reads a model. From a path, only its structure and small weights are read: weights from 1 KiB on stay in the file
 * (and are checked against a changed file when they are read later). From bytes, weights are views: the buffer must
 * not change while the model is used. The event loop is never held longer than a few milliseconds.
 *
 * Throws FILE_NOT_FOUND, or MODEL_INVALID for bytes that are empty, truncated, not an ONNX model, not readable in
 * one way only, or 2 GiB and larger; external data is resolved and checked (`external: "ignore"` leaves it alone).
 */
export async function readModel(source: string | Uint8Array, options: ReadOptions = {}): Promise<Model> {
  if (typeof source !== "string")
    return await parse(new BytesSource(source), options.baseDir, undefined, options);
  const path = resolvePath(source);
  const file = new FileSource(path);
  try {
    return await parse(file, dirname(source), dirname(path), options);
  } finally {
    file.close();
  }
}

/** Reads a model from a source, for callers that count or place the reads themselves. */
export async function parse(
  source: Source,
  baseDir: string | undefined,
  realDir: string | undefined,
  options: ExternalOptions,
): Promise<Model> {
  refuseOtherFormats(source);
  try {
    const proto = await inTurns(decode(source, MODEL));
    return await inTurns(modelFromProto(proto, externalFiles(baseDir, realDir, options)));
  } catch (error) {
    // The platform's own range checks, where a byte sequence got past ours.
    if (error instanceof TenonError) throw error;
    throw invalid("the bytes are not an ONNX model", { cause: error });
  }
}

function refuseOtherFormats(source: Source): void {
  if (source.size === 0) throw invalid("the model is empty");
  if (source.size > MAX_FILE) {
    throw invalid("the model is 2 GiB or larger, which protobuf cannot hold", {
      do: "keep its weights as external data",
    });
  }
  const head = source.bytes(0, Math.min(8, source.size));
  if (head.length === 8 && String.fromCharCode(...head.subarray(4)) === "ORTM") {
    throw invalid("this is an .ort file, not an ONNX model", {
      do: "use the .onnx file that it was made from",
    });
  }
}

async function inTurns<T>(steps: Generator<void, T>): Promise<T> {
  for (;;) {
    const until = performance.now() + TURN_MS;
    do {
      const step = steps.next();
      if (step.done === true) return step.value;
    } while (performance.now() < until);
    await new Promise((resolve) => void setImmediate(resolve));
  }
}
