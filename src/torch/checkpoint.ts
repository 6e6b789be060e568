/** Checkpoints of `torch.save`: the zip format (since PyTorch 1.6) and the five pickles of the older one. */
import { byteLengthOf } from "../tensor/index.js";
import type { Archive } from "./archive.js";
import type { TorchDType } from "./dtypes.js";
import { flatten } from "./flatten.js";
import { damaged, quoted, unsupported } from "./invalid.js";
import { storageDType } from "./pickle/constructors.js";
import { Cursor } from "./pickle/cursor.js";
import type { PickleOptions } from "./pickle/machine.js";
import { unpickle } from "./pickle/unpickle.js";
import { describePickled, type PickleValue, StorageRef, Tuple } from "./pickle/values.js";
import type { Region } from "./region.js";
import type { Weights } from "./weights.js";

/** What to do with a call that is not on the list: an error, or a named placeholder that no tensor may depend on. */
export type UnknownCalls = "refuse" | "placeholder";

const PICKLE = "data.pkl";

/** The folder of an archive that `torch.save` wrote, with its slash; undefined when it is none. */
export function checkpointRoot(archive: Archive): string | undefined {
  for (const name of archive.names)
    if (
      name === PICKLE ||
      (name.endsWith(`/${PICKLE}`) && name.indexOf("/") === name.length - PICKLE.length - 1)
    )
      return name.slice(0, -PICKLE.length);
  return undefined;
}

/** True for the archive of a TorchScript program, whose weights lie in it as in a checkpoint. */
export function isTorchScript(archive: Archive, root: string): boolean {
  return archive.has(`${root}constants.pkl`);
}

/** The tensors of a zip checkpoint. */
export function zipCheckpoint(archive: Archive, root: string, unknown: UnknownCalls): Weights {
  refuseByteOrder(archive, root);
  const script = isTorchScript(archive, root);
  const places = new Map<string, StorageRef["place"]>();
  const options: PickleOptions = {
    storage: (id) => {
      const { key, dtype, byteLength } = storageId(id, 5);
      const name = `${root}data/${key}`;
      let place = places.get(key);
      if (place === undefined) {
        place = { chunk: archive.chunk(name) };
        places.set(key, place);
      }
      const found = place.chunk instanceof Uint8Array ? place.chunk.byteLength : place.chunk!.length;
      refuseSize(key, byteLength, found);
      return new StorageRef({ key, dtype, byteLength, place });
    },
    placeholders: (path) => unknown === "placeholder" || (script && path.startsWith("__torch__.")),
  };
  const cursor = new Cursor(archive.readRegion(`${root}${PICKLE}`));
  const { tensors, metadata } = flatten(unpickle(cursor, options));
  // A program's other values are flags of its modules.
  if (script) return { format: "torchscript", tensors, metadata: new Map() };
  return { format: "torch-zip", tensors, metadata };
}

/** Files say in which order their numbers' bytes are; older ones say nothing and are little-endian. */
export function refuseByteOrder(archive: Archive, root: string): void {
  const name = `${root}byteorder`;
  const order = archive.has(name) ? archive.text(name) : "little";
  if (order === "little") return;
  if (order === "big") throw unsupported("the file was written on a big-endian machine");
  throw damaged("the archive's byte order is not known", { given: quoted(order) });
}

interface StorageId {
  readonly key: string;
  readonly dtype: TorchDType | undefined;
  readonly byteLength: number;
  readonly bytesPerElement: number;
}

/** `("storage", class, key, location, count)`, and in the old format the view on another storage. */
function storageId(id: Tuple, length: number): StorageId {
  const [kind, type, key, , count] = id.items;
  if (kind === "module")
    throw unsupported("the checkpoint holds a whole module with its source code", {
      do: "save model.state_dict() instead",
    });
  if (kind !== "storage" || id.items.length !== length || typeof key !== "string")
    throw damaged("the pickle has a persistent id that is no storage", { given: describePickled(kind) });
  if (typeof count !== "number" || !Number.isSafeInteger(count) || count < 0)
    throw damaged(`storage ${quoted(key)} has a size that is no count`, { given: describePickled(count) });
  const dtype = storageDType(type);
  const bytesPerElement = dtype === undefined ? 1 : byteLengthOf(dtype, 1);
  return { key, dtype, bytesPerElement, byteLength: count * bytesPerElement };
}

function refuseSize(key: string, told: number, found: number): void {
  if (told === found) return;
  throw damaged(`storage ${quoted(key)} has another size than the pickle says`, {
    given: `${found} bytes`,
    expected: String(told),
  });
}

/** The number with which the old format begins, as a pickle. */
const MAGIC = 0x1950a86a20f9469cfc6cn;
const MAGIC_BYTES = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const PROTOCOL = 1001;

/** True for bytes that begin as the old format does. */
export function looksLikeLegacy(head: Uint8Array): boolean {
  return MAGIC_BYTES.every((byte, i) => head[i] === byte);
}

/** The tensors of a checkpoint from before PyTorch 1.6, or saved with `_use_new_zipfile_serialization=False`. */
export function legacyCheckpoint(region: Region, unknown: UnknownCalls): Weights {
  const cursor = new Cursor(region);
  if (unpickle(cursor) !== MAGIC) throw damaged("the checkpoint lacks its magic number");
  if (unpickle(cursor) !== PROTOCOL) throw damaged("the checkpoint has an unknown protocol");
  refuseSystem(unpickle(cursor));
  const roots = new Map<string, Root>();
  const root = unpickle(cursor, {
    storage: (id) => legacyStorage(id, roots),
    placeholders: () => unknown === "placeholder",
  });
  const keys = unpickle(cursor);
  if (!Array.isArray(keys)) throw damaged("the checkpoint lacks its list of storages");
  for (const key of keys) {
    const found = typeof key === "string" ? roots.get(key) : undefined;
    if (found === undefined || found.place.chunk !== undefined)
      throw damaged("the checkpoint lists a storage that nothing uses, or one twice", {
        given: describePickled(key),
      });
    refuseSize(key as string, found.byteLength, cursor.u64() * found.bytesPerElement);
    found.place.chunk = region.chunk(cursor.position, found.byteLength);
    cursor.skip(found.byteLength);
  }
  if (cursor.position !== region.size)
    throw damaged("there are bytes after the last storage", {
      given: `${region.size - cursor.position} bytes`,
    });
  return { format: "torch-legacy", ...flatten(root) };
}

/** A storage with bytes of its own. */
interface Root {
  readonly place: StorageRef["place"];
  readonly bytesPerElement: number;
  readonly byteLength: number;
}

function refuseSystem(info: PickleValue): void {
  if (!(info instanceof Map)) throw damaged("the checkpoint does not tell its system");
  if (info.get("little_endian") !== true) throw unsupported("the file was written on a big-endian machine");
}

/** Makes the storages of the old format: an id may be a view on a root, whose bytes come after the pickles. */
function legacyStorage(id: Tuple, roots: Map<string, Root>): StorageRef {
  const { key, dtype, bytesPerElement, byteLength } = storageId(id, 6);
  let root = roots.get(key);
  if (root === undefined) {
    root = { place: {}, bytesPerElement, byteLength };
    roots.set(key, root);
  }
  refuseSize(key, byteLength, root.byteLength);
  const view = id.items[5];
  if (view === null) return new StorageRef({ key, dtype, byteLength, place: root.place });
  const [, offset, count] = view instanceof Tuple ? view.items : [];
  const isCount = (value: PickleValue | undefined): value is number =>
    typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
  if (!isCount(offset) || !isCount(count) || (offset + count) * bytesPerElement > byteLength)
    throw damaged(`storage ${quoted(key)} is a view that leaves its root`);
  return new StorageRef({
    key,
    dtype,
    byteLength: count * bytesPerElement,
    offset: offset * bytesPerElement,
    place: root.place,
  });
}
