/** What a pickle becomes: plain data, and names that nothing calls. */
import type { Chunk } from "../../onnx/index.js";
import type { TorchDType } from "../dtypes.js";

/** A Python value. Lists are arrays, dicts are maps (never objects), bytes are byte arrays. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | Map<PickleValue, PickleValue>
  | Set<PickleValue>
  | Tuple
  | GlobalName
  | Placeholder
  | StorageRef
  | PickledTensor;

export class Tuple {
  readonly items: readonly PickleValue[];

  constructor(items: readonly PickleValue[]) {
    this.items = items;
  }
}

/** `module.name`, which the file wants to have looked up: only the text is kept. */
export class GlobalName {
  /** The module and the name with a dot between them. */
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }
}

/** Stands where a class or function that is not ours would have made an object. */
export class Placeholder {
  readonly path: string;
  /** What the file would have given to the object. */
  state: PickleValue = null;

  constructor(path: string) {
    this.path = path;
  }
}

/** A storage that the pickle speaks of. */
export class StorageRef {
  readonly key: string;
  /** undefined: bytes without a type. */
  readonly dtype: TorchDType | undefined;
  readonly byteLength: number;
  /** Bytes from the start of the chunk. */
  readonly offset: number;
  /** Where the bytes are; in the legacy format they follow the pickle and are found later. */
  readonly place: { chunk?: Chunk };

  constructor(parts: {
    readonly key: string;
    readonly dtype: TorchDType | undefined;
    readonly byteLength: number;
    readonly offset?: number;
    readonly place: { chunk?: Chunk };
  }) {
    this.key = parts.key;
    this.dtype = parts.dtype;
    this.byteLength = parts.byteLength;
    this.offset = parts.offset ?? 0;
    this.place = parts.place;
  }
}

/** A tensor as the pickle describes it, unchecked: `makeTensorRef` compares it with its storage. */
export class PickledTensor {
  readonly storage: StorageRef;
  readonly dtype: TorchDType;
  /** In elements, as the strides. */
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(parts: {
    readonly storage: StorageRef;
    readonly dtype: TorchDType;
    readonly offset: number;
    readonly shape: readonly number[];
    readonly strides: readonly number[];
  }) {
    this.storage = parts.storage;
    this.dtype = parts.dtype;
    this.offset = parts.offset;
    this.shape = parts.shape;
    this.strides = parts.strides;
  }
}

/** A value in words, for messages. */
export function describePickled(value: PickleValue | undefined): string {
  if (value instanceof GlobalName) return value.path;
  if (value instanceof Placeholder) return `an object of ${value.path}`;
  if (value instanceof Tuple) return `a tuple of ${value.items.length}`;
  if (value instanceof StorageRef) return `storage ${JSON.stringify(value.key.slice(0, 40))}`;
  if (value instanceof PickledTensor) return "a tensor";
  if (value instanceof Map) return "a dict";
  if (value instanceof Set) return "a set";
  if (value instanceof Uint8Array) return "bytes";
  if (Array.isArray(value)) return "a list";
  if (value === null || value === undefined) return "None";
  return `${typeof value} ${String(value).slice(0, 40)}`;
}
