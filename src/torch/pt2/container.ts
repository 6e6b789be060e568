/** The containers of `torch.export.save`: a zip of checkpoints (to 2.7), and the PT2 archive of 2.8 and of 2.9 on. */
import { byteLengthOf } from "../../tensor/index.js";
import { Archive } from "../archive.js";
import { checkpointRoot, refuseByteOrder, zipCheckpoint } from "../checkpoint.js";
import { damaged, quoted, unsupported } from "../invalid.js";
import { parseJson } from "../json.js";
import type { Json } from "../json-value.js";
import { makeTensorRef, type TensorRef } from "../tensor-ref.js";
import { tensorMeta } from "./arguments.js";
import { Fields, flag, table, text } from "./fields.js";
import type { SymSize } from "./program.js";

/** One model of an archive: where its program is, and its weights. */
export interface ContainedModel {
  readonly name: string;
  /** The program's JSON, read and compared with its checksum. */
  readonly program: () => Uint8Array;
  readonly weights: () => ContainedWeights;
}

export interface ContainedWeights {
  /** By path in the module. */
  readonly tensors: Map<string, TensorRef>;
  /** What cannot be read, with the reason; an error only when the program uses it. */
  readonly unreadable: Map<string, string>;
}

const FIRST_PROGRAM = "serialized_exported_program.json";
const FORMAT = "archive_format";
const VERSION = "0";

/** The model of an exported program; undefined for an archive of another kind. `model` chooses among several. */
export function containedModel(archive: Archive, model?: string): ContainedModel | undefined {
  if (archive.has(FIRST_PROGRAM)) return firstGeneration(archive);
  const root = [...archive.names].find((name) => name === FORMAT || name.endsWith(`/${FORMAT}`));
  return root === undefined ? undefined : inArchive(archive, root.slice(0, -FORMAT.length), model);
}

function firstGeneration(archive: Archive): ContainedModel {
  return {
    name: "model",
    program: () => archive.read(FIRST_PROGRAM),
    weights: () => {
      const weights: ContainedWeights = { tensors: new Map(), unreadable: new Map() };
      for (const entry of ["serialized_state_dict.pt", "serialized_constants.pt"])
        if (archive.has(entry)) addCheckpoint(archive, entry, weights);
      return weights;
    },
  };
}

function inArchive(archive: Archive, root: string, model: string | undefined): ContainedModel | undefined {
  const format = archive.text(root + FORMAT);
  const version = archive.has(`${root}archive_version`) ? archive.text(`${root}archive_version`) : VERSION;
  if (format !== "pt2" || version !== VERSION)
    throw unsupported("the archive has another format", {
      given: `${quoted(format)} version ${quoted(version)}`,
      expected: `pt2 version ${VERSION}`,
    });
  refuseByteOrder(archive, root);
  const folder = `${root}models/`;
  const names = [...archive.names]
    .filter((entry) => entry.startsWith(folder) && entry.endsWith(".json"))
    .map((entry) => entry.slice(folder.length, -".json".length));
  const name = model ?? names[0];
  if (name === undefined) return undefined;
  if (!names.includes(name) || (model === undefined && names.length > 1))
    throw unsupported("the archive holds several models, or not the one asked for", {
      ...(model === undefined ? {} : { given: quoted(model) }),
      expected: names.join(", "),
      do: "name one of them",
    });
  return {
    name,
    program: () => archive.read(`${folder}${name}.json`),
    weights: () => {
      const weights: ContainedWeights = { tensors: new Map(), unreadable: new Map() };
      addFolder(archive, `${root}data/weights/`, `${name}_weights_config.json`, `${name}.pt`, weights);
      addFolder(archive, `${root}data/constants/`, `${name}_constants_config.json`, `${name}.pt`, weights);
      return weights;
    },
  };
}

/** Raw storages that a configuration names (from 2.9), or one checkpoint (2.8). */
function addFolder(
  archive: Archive,
  folder: string,
  config: string,
  checkpoint: string,
  weights: ContainedWeights,
): void {
  if (archive.has(folder + config)) addPayloads(archive, folder, config, weights);
  else if (archive.has(folder + checkpoint)) addCheckpoint(archive, folder + checkpoint, weights);
}

function addCheckpoint(archive: Archive, entry: string, weights: ContainedWeights): void {
  const inner = new Archive(archive.region(entry));
  const root = checkpointRoot(inner);
  if (root === undefined) throw damaged(`archive entry ${quoted(entry)} is no checkpoint`);
  for (const [name, ref] of zipCheckpoint(inner, root, "refuse").tensors) add(weights, name, ref);
}

function addPayloads(archive: Archive, folder: string, config: string, weights: ContainedWeights): void {
  const json = parseJson(archive.read(folder + config), "the archive's list of weights");
  const payloads = new Fields(json, "weights").need("config", table(decodePayload));
  const storages = new Map<string, TensorRef["storage"]>();
  for (const [name, payload] of payloads) {
    const { path, pickled, meta } = payload;
    if (pickled || meta === null) {
      weights.unreadable.set(name, "it is a pickled object");
      continue;
    }
    if (!/^(weight|tensor)_[0-9]+$/.test(path))
      throw damaged(`weight ${quoted(name)} lies in an entry of a name that is not allowed`, {
        given: quoted(path),
      });
    let storage = storages.get(path);
    if (storage === undefined) {
      storage = archive.chunk(folder + path);
      storages.set(path, storage);
    }
    add(weights, name, refOf(name, meta, storage));
  }
}

interface Payload {
  readonly path: string;
  readonly pickled: boolean;
  readonly meta: ReturnType<typeof tensorMeta> | null;
}

function decodePayload(value: Json, place: string): Payload {
  const fields = new Fields(value, place);
  return {
    path: fields.need("path_name", text),
    pickled: fields.maybe("use_pickle", flag, false),
    meta: fields.maybe("tensor_meta", tensorMeta, null),
  };
}

function refOf(name: string, meta: ReturnType<typeof tensorMeta>, storage: TensorRef["storage"]): TensorRef {
  if (meta.layout !== "strided")
    throw unsupported(`weight ${quoted(name)} is not dense`, { given: `layout ${meta.layout}` });
  const known = (value: SymSize): number => {
    if (typeof value === "number") return value;
    throw damaged(`weight ${quoted(name)} has a size that is not known`, { given: value.expr });
  };
  const ref = { name, dtype: meta.dtype, shape: meta.sizes.map(known), strides: meta.strides.map(known) };
  const offset = byteLengthOf(meta.dtype, known(meta.storageOffset));
  return makeTensorRef({ ...ref, offset, storage });
}

function add(weights: ContainedWeights, name: string, ref: TensorRef): void {
  if (weights.tensors.has(name)) throw damaged(`the archive holds two weights of the name ${quoted(name)}`);
  weights.tensors.set(name, ref);
}
