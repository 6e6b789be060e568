/** writeBeside: a changed model as bytes that goes on using the weight files of the one it was made from. */
import { dirname, relative, sep } from "node:path";
import { encode } from "./encode.js";
import type { Model, TensorData } from "./graph.js";
import { MODEL } from "./proto.js";
import { modelToProto } from "./to-proto.js";
import { concat } from "./types.js";
import { weightFiles } from "./weight-files.js";
import { refuseTooLarge } from "./write.js";

export interface WrittenBeside {
  readonly bytes: Uint8Array;
  /** The folder that the locations of external weights are relative to; undefined when there are none. */
  readonly folder: string | undefined;
}

/** Weights inside the model's file are copied; those in other files stay there, whatever links led to them. Throws as `writeModel` does. */
export function writeBeside(model: Model): WrittenBeside {
  const folder = commonFolder(weightFiles(model));
  const place = (data: TensorData): TensorData => (folder === undefined ? data : relocated(data, folder));
  const { chunks, length } = encode(modelToProto(model, place), MODEL);
  refuseTooLarge(length);
  return { bytes: concat(chunks), folder };
}

function relocated(data: TensorData, folder: string): TensorData {
  const { payload } = data;
  if (payload.in !== "external" || payload.range === undefined || payload.range instanceof Uint8Array) {
    return data;
  }
  const { file, offset, length } = payload.range;
  const entries = new Map([
    ["location", relative(folder, file.path).split(sep).join("/")],
    ["offset", String(offset)],
    ["length", String(length)],
  ]);
  return { ...data, payload: { in: "external", entries, range: payload.range } };
}

/** The innermost folder that holds all files. */
function commonFolder(files: readonly string[]): string | undefined {
  if (files[0] === undefined) return undefined;
  let folder = dirname(files[0]);
  for (const file of files) {
    while (folder !== dirname(folder) && !file.startsWith(folder + sep)) folder = dirname(folder);
  }
  return folder;
}
