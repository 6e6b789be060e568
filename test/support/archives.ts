/** Zip archives and pickles put together by hand, also wrong ones. */
import { crc32 } from "node:zlib";

export interface StoredEntry {
  readonly name: string;
  readonly data: Uint8Array;
  /** What the headers say instead of the truth. */
  readonly lie?: {
    readonly crc?: number;
    readonly size?: number;
    readonly method?: number;
    readonly localMethod?: number;
    readonly localName?: string;
    readonly flags?: number;
    readonly local?: number;
  };
}

/** What the end record says instead of the truth. */
export interface EndRecord {
  readonly count?: number;
  readonly offset?: number;
  readonly size?: number;
  /** Write the 64-bit record, and all ones in the short one. */
  readonly wide?: boolean;
}

/** An archive of stored entries; `lies` go into the end record. */
export function storedZip(entries: readonly StoredEntry[], lies: EndRecord = {}): Uint8Array {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, data, lie = {} } of entries) {
    const encoded = Buffer.from(name);
    const localName = Buffer.from(lie.localName ?? name);
    const size = lie.size ?? data.length;
    const header = Buffer.alloc(30);
    header.writeUInt32LE(0x04034b50, 0);
    header.writeUInt16LE(lie.localMethod ?? lie.method ?? 0, 8);
    header.writeUInt16LE(localName.length, 26);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(lie.flags ?? 0x0800, 8);
    central.writeUInt16LE(lie.method ?? 0, 10);
    central.writeUInt32LE(lie.crc ?? crc32(data), 16);
    central.writeUInt32LE(size, 20);
    central.writeUInt32LE(size, 24);
    central.writeUInt16LE(encoded.length, 28);
    central.writeUInt32LE(lie.local ?? offset, 42);
    directory.push(central, encoded);
    parts.push(header, localName, Buffer.from(data));
    offset += header.length + localName.length + data.length;
  }
  const listed = Buffer.concat(directory);
  const { count = entries.length, size = listed.length, offset: start = offset, wide = false } = lies;
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(wide ? 0xffff : count, 8);
  end.writeUInt16LE(wide ? 0xffff : count, 10);
  end.writeUInt32LE(wide ? 0xffffffff : size, 12);
  end.writeUInt32LE(wide ? 0xffffffff : start, 16);
  const tail = wide ? [wideEnd(count, size, start, offset + listed.length), end] : [end];
  return new Uint8Array(Buffer.concat([...parts, listed, ...tail]));
}

/** The 64-bit end record, which lies at `position`, and its locator. */
function wideEnd(count: number, size: number, start: number, position: number): Buffer {
  const record = Buffer.alloc(76);
  record.writeUInt32LE(0x06064b50, 0);
  record.writeBigUInt64LE(44n, 4);
  [count, count, size, start].forEach((value, i) => void record.writeBigUInt64LE(BigInt(value), 24 + 8 * i));
  record.writeUInt32LE(0x07064b50, 56);
  record.writeBigUInt64LE(BigInt(position), 64);
  record.writeUInt32LE(1, 72);
  return record;
}

/** Parts of a pickle. */
export const op = {
  proto: (version = 2): Buffer => Buffer.of(0x80, version),
  stop: Buffer.from("."),
  mark: Buffer.from("("),
  none: Buffer.from("N"),
  false: Buffer.of(0x89),
  emptyDict: Buffer.from("}"),
  emptyList: Buffer.from("]"),
  emptyTuple: Buffer.from(")"),
  setItems: Buffer.from("u"),
  append: Buffer.from("a"),
  reduce: Buffer.from("R"),
  build: Buffer.from("b"),
  persistent: Buffer.from("Q"),
  put: (key: number): Buffer => Buffer.of(0x71, key),
  get: (key: number): Buffer => Buffer.of(0x68, key),
  global: (module: string, name: string): Buffer => Buffer.from(`c${module}\n${name}\n`),
  int: (value: number): Buffer => {
    const bytes = Buffer.alloc(5, "J");
    bytes.writeInt32LE(value, 1);
    return bytes;
  },
  text: (value: string): Buffer => {
    const bytes = Buffer.from(value);
    const length = Buffer.alloc(5, "X");
    length.writeUInt32LE(bytes.length, 1);
    return Buffer.concat([length, bytes]);
  },
  tuple: (...items: readonly Buffer[]): Buffer => Buffer.concat([op.mark, ...items, Buffer.from("t")]),
  call: (module: string, name: string, ...args: readonly Buffer[]): Buffer =>
    Buffer.concat([op.global(module, name), op.tuple(...args), op.reduce]),
  dict: (members: Readonly<Record<string, Buffer>>): Buffer =>
    Buffer.concat([
      op.emptyDict,
      op.mark,
      ...Object.entries(members).flatMap(([key, value]) => [op.text(key), value]),
      op.setItems,
    ]),
};

export interface TensorParts {
  readonly key?: string;
  readonly storage?: string;
  readonly count: number;
  readonly offset?: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly legacy?: boolean;
}

/** A tensor as `torch.save` pickles it. */
export function pickledTensor(parts: TensorParts): Buffer {
  const id = op.tuple(
    op.text("storage"),
    op.global("torch", parts.storage ?? "FloatStorage"),
    op.text(parts.key ?? "0"),
    op.text("cpu"),
    op.int(parts.count),
    ...(parts.legacy ? [op.none] : []),
  );
  return op.call(
    "torch._utils",
    "_rebuild_tensor_v2",
    Buffer.concat([id, op.persistent]),
    op.int(parts.offset ?? 0),
    op.tuple(...parts.shape.map(op.int)),
    op.tuple(...parts.strides.map(op.int)),
    op.false,
    op.call("collections", "OrderedDict"),
  );
}

export function pickle(...parts: readonly Buffer[]): Buffer {
  return Buffer.concat([op.proto(), ...parts, op.stop]);
}

/** A checkpoint of `torch.save` in the zip format. */
export function checkpoint(
  data: Uint8Array,
  storages: Readonly<Record<string, Uint8Array>> = {},
  more: readonly StoredEntry[] = [],
): Uint8Array {
  return storedZip([
    { name: "archive/data.pkl", data },
    { name: "archive/byteorder", data: Buffer.from("little") },
    ...Object.entries(storages).map(([key, bytes]) => ({ name: `archive/data/${key}`, data: bytes })),
    ...more,
    { name: "archive/version", data: Buffer.from("3\n") },
  ]);
}
