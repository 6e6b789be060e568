/** flatten: the tensors in a pickle's data, by the path of keys that leads to them. */
import { chunkLength } from "../onnx/index.js";
import { byteLengthOf } from "../tensor/index.js";
import { damaged, quoted } from "./invalid.js";
import {
  GlobalName,
  PickledTensor,
  type PickleValue,
  Placeholder,
  StorageRef,
  Tuple,
} from "./pickle/values.js";
import { makeTensorRef, subChunk, type TensorRef } from "./tensor-ref.js";

const MAX_DEPTH = 1_000;
const MAX_VISITS = 1_000_000;
const MAX_NAME = 4_096;
/** Other values are kept as texts up to these limits; a checkpoint's optimiser state can be large. */
const MAX_METADATA = 10_000;
const MAX_TEXT = 1_000;

export interface Flat {
  readonly tensors: Map<string, TensorRef>;
  readonly metadata: Map<string, string>;
}

/**
 * Tensors by name, keys and list positions joined with dots (`model.net.0.weight`), and the other values as texts. Throws
 * FILE_INVALID for data that contains itself, for two tensors of one name, and for tensors that leave their storage.
 */
export function flatten(root: PickleValue): Flat {
  const flat: Flat = { tensors: new Map(), metadata: new Map() };
  const open = new Set<PickleValue>();
  let visits = 0;
  const visit = (value: PickleValue, name: string, depth: number): void => {
    if (++visits > MAX_VISITS) throw damaged("the checkpoint holds too many values");
    if (value instanceof PickledTensor) {
      addTensor(flat.tensors, value, name === "" ? "tensor" : name);
      return;
    }
    const members = membersOf(value);
    if (members === undefined) {
      addText(flat.metadata, value, name);
      return;
    }
    if (open.has(value) || depth > MAX_DEPTH)
      throw damaged("the checkpoint's data contains itself, or is nested too deeply");
    open.add(value);
    for (const [key, member] of members) {
      const path = name === "" ? key : `${name}.${key}`;
      if (path.length > MAX_NAME) throw damaged("the checkpoint holds a name that is too long");
      visit(member, path, depth + 1);
    }
    open.delete(value);
  };
  visit(root, "", 0);
  return flat;
}

/** What a container holds by key; undefined for a single value. */
function membersOf(value: PickleValue): Iterable<readonly [string, PickleValue]> | undefined {
  if (value instanceof Map) return keyed(value);
  if (Array.isArray(value)) return numbered(value);
  if (value instanceof Tuple) return numbered(value.items);
  if (value instanceof Set) return numbered(value);
  if (value instanceof Placeholder) return membersOf(value.state) ?? [];
  return undefined;
}

function* numbered(items: Iterable<PickleValue>): Generator<readonly [string, PickleValue]> {
  let index = 0;
  for (const item of items) yield [String(index++), item];
}

function* keyed(map: ReadonlyMap<PickleValue, PickleValue>): Generator<readonly [string, PickleValue]> {
  let index = 0;
  for (const [key, value] of map) {
    const named = typeof key === "string" || typeof key === "number" || typeof key === "bigint";
    yield [named ? String(key) : String(index), value];
    index++;
  }
}

function addTensor(tensors: Map<string, TensorRef>, tensor: PickledTensor, name: string): void {
  if (tensors.has(name)) throw damaged(`the checkpoint holds two tensors of the name ${quoted(name)}`);
  const { storage, dtype, offset, shape, strides } = tensor;
  if (storage.place.chunk === undefined) throw damaged(`tensor ${quoted(name)} has no data in the file`);
  const start = byteLengthOf(dtype, offset);
  const ref = { name, dtype, shape, strides, storage: storage.place.chunk };
  // A view on another storage ends before that one does.
  if (storage.byteLength !== chunkLength(ref.storage))
    makeTensorRef({
      ...ref,
      offset: start,
      storage: subChunk(ref.storage, storage.offset, storage.byteLength),
    });
  tensors.set(name, makeTensorRef({ ...ref, offset: storage.offset + start }));
}

function addText(metadata: Map<string, string>, value: PickleValue, name: string): void {
  if (metadata.size >= MAX_METADATA || name === "") return;
  if (value instanceof GlobalName) metadata.set(name, value.path);
  else if (value === null) metadata.set(name, "None");
  else if (!(value instanceof Uint8Array || value instanceof StorageRef))
    metadata.set(name, String(value).slice(0, MAX_TEXT));
}
