/** The closed table of what a pickle may construct: each row builds plain data; everything else is refused by name. */
import { REFUSED_DTYPES, STORAGE_DTYPES, TORCH_DTYPES, type TorchDType } from "../dtypes.js";
import { damaged, quoted, unsupported } from "../invalid.js";
import { describePickled, GlobalName, PickledTensor, type PickleValue, StorageRef, Tuple } from "./values.js";

type Constructor = (args: readonly PickleValue[]) => PickleValue;

/** `module.name` → what calling it gives. */
const CONSTRUCTORS: ReadonlyMap<string, Constructor> = new Map<string, Constructor>([
  ["collections.OrderedDict", ([pairs]) => mapOf(pairs)],
  ["collections.Counter", ([counts]) => (counts instanceof Map ? new Map(counts) : new Map())],
  ["collections.defaultdict", () => new Map()],
  ["builtins.set", ([items]) => new Set(itemsOf(items))],
  ["builtins.frozenset", ([items]) => new Set(itemsOf(items))],
  ["builtins.dict", ([pairs]) => mapOf(pairs)],
  ["builtins.list", ([items]) => [...itemsOf(items)]],
  ["builtins.tuple", ([items]) => new Tuple(itemsOf(items))],
  ["builtins.bytearray", ([bytes]) => (bytes instanceof Uint8Array ? bytes : new Uint8Array(0))],
  ["builtins.complex", ([re, im]) => new Tuple([re ?? 0, im ?? 0])],
  ["_codecs.encode", encode],
  ["torch.Size", ([sizes]) => new Tuple(itemsOf(sizes))],
  ["torch.device", ([type]) => type ?? null],
  ["torch._utils._rebuild_tensor", (args) => rebuildTensor(args)],
  ["torch._utils._rebuild_tensor_v2", rebuildTensorV2],
  ["torch._utils._rebuild_tensor_v3", rebuildTensorV3],
  ["torch._utils._rebuild_parameter", ([data]) => tensorOf(data)],
  ["torch._utils._rebuild_parameter_with_state", ([data]) => tensorOf(data)],
  ["torch.nn.parameter.Parameter", ([data]) => tensorOf(data)],
  ["torch.nn.parameter.Buffer", ([data]) => tensorOf(data)],
  ["torch._tensor._rebuild_from_type_v2", rebuildFromType],
  // Typed lists of TorchScript.
  ...["intlist", "doublelist", "boollist", "tensorlist"].map((list): [string, Constructor] => [
    `torch.jit._pickle.build_${list}`,
    ([items]) => [...itemsOf(items)],
  ]),
  ["torch.jit._pickle.restore_type_tag", ([value]) => value ?? null],
]);

/** What makes a tensor that is refused, and what it is. */
const REFUSED: ReadonlyMap<string, string> = new Map([
  ["torch._utils._rebuild_qtensor", "a quantised tensor"],
  ["torch._utils._rebuild_sparse_tensor", "a sparse tensor"],
  ["torch._utils._rebuild_sparse_csr_tensor", "a sparse tensor"],
  ["torch._utils._rebuild_nested_tensor", "a nested tensor"],
  ["torch._utils._rebuild_meta_tensor_no_storage", "a tensor without data (device meta)"],
  ["torch._utils._rebuild_wrapper_subclass", "a tensor subclass"],
  ["torch._utils._rebuild_device_tensor_from_numpy", "a tensor of a foreign device"],
  ["torch._utils._rebuild_device_tensor_from_cpu_tensor", "a tensor of a foreign device"],
]);

/** Python 2 has other names for these modules. */
const MODULES: ReadonlyMap<string, string> = new Map([
  ["__builtin__", "builtins"],
  ["copy_reg", "copyreg"],
]);

/** The name that a pickle asks for; nothing is looked up. */
export function globalName(module: string, name: string): GlobalName {
  return new GlobalName(`${MODULES.get(module) ?? module}.${name}`);
}

/** What a call of the table gives; undefined for a name that is not in it. Throws MODEL_UNSUPPORTED for refused tensors. */
export function construct(path: string, args: readonly PickleValue[]): PickleValue | undefined {
  const refused = REFUSED.get(path);
  if (refused !== undefined) {
    throw unsupported(`the checkpoint holds ${refused}`, {
      given: path,
      do: "save it as a plain dense tensor",
    });
  }
  return CONSTRUCTORS.get(path)?.(args);
}

/** The dtype that a storage class stands for; undefined: raw bytes. Throws for anything else. */
export function storageDType(value: PickleValue | undefined): TorchDType | undefined {
  const path = value instanceof GlobalName ? value.path : "";
  if (path === "torch.storage.UntypedStorage" || path === "torch.UntypedStorage") return undefined;
  const name = /^torch\.(?:cuda\.|storage\.)?(\w+)$/.exec(path)?.[1] ?? "";
  if (Object.hasOwn(STORAGE_DTYPES, name)) return STORAGE_DTYPES[name];
  throw refusedType(name, value);
}

function dtypeOf(value: PickleValue | undefined): TorchDType {
  const path = value instanceof GlobalName ? value.path : "";
  const name = /^torch\.(\w+)$/.exec(path)?.[1] ?? "";
  const dtype = Object.hasOwn(TORCH_DTYPES, name) ? TORCH_DTYPES[name] : undefined;
  if (dtype === undefined) throw refusedType(name, value);
  return dtype;
}

function refusedType(name: string, value: PickleValue | undefined): Error {
  const refused = REFUSED_DTYPES.get(name);
  if (refused !== undefined)
    return unsupported(`the checkpoint holds ${refused}`, { given: `torch.${name}` });
  return damaged("a tensor depends on an element type that is not known", {
    given: describePickled(value),
    expected: "a storage class or dtype of torch",
  });
}

function rebuildTensorV2(args: readonly PickleValue[]): PickledTensor {
  refuseMathBits(args[6]);
  return rebuildTensor(args);
}

function rebuildTensorV3(args: readonly PickleValue[]): PickledTensor {
  refuseMathBits(args[7]);
  return rebuildTensor(args, dtypeOf(args[6]));
}

function rebuildTensor(args: readonly PickleValue[], dtype?: TorchDType): PickledTensor {
  const [storage, offset, shape, strides] = args;
  if (!(storage instanceof StorageRef)) {
    throw damaged("a tensor depends on something that is no storage", {
      given: describePickled(storage),
    });
  }
  const element = dtype ?? storage.dtype;
  if (element === undefined) throw damaged("a tensor has a storage without a type");
  return new PickledTensor({
    storage,
    dtype: element,
    offset: count(offset),
    shape: counts(shape),
    strides: counts(strides),
  });
}

/** Lazy conjugation and negation, as flags of a view. */
function refuseMathBits(metadata: PickleValue | undefined): void {
  if (!(metadata instanceof Map)) return;
  for (const bit of ["conj", "neg"])
    if (metadata.get(bit) === true)
      throw unsupported(`the checkpoint holds a tensor with the ${bit} bit`, {
        do: `call .resolve_${bit}() before saving`,
      });
}

function rebuildFromType([func, type, args]: readonly PickleValue[]): PickleValue {
  const path = type instanceof GlobalName ? type.path : describePickled(type);
  if (path !== "torch.Tensor" && path !== "torch._tensor.Tensor" && path !== "torch.nn.parameter.Parameter")
    throw unsupported("the checkpoint holds a tensor subclass", { given: path });
  const made =
    func instanceof GlobalName && args instanceof Tuple ? construct(func.path, args.items) : undefined;
  if (made === undefined)
    throw damaged("a tensor depends on an unknown function", { given: describePickled(func) });
  return tensorOf(made);
}

function tensorOf(value: PickleValue | undefined): PickledTensor {
  if (value instanceof PickledTensor) return value;
  throw damaged("a parameter depends on something that is no tensor", { given: describePickled(value) });
}

/** `codecs.encode(text, "latin1")`: how Python 2's pickles spell bytes. */
function encode([text, encoding]: readonly PickleValue[]): Uint8Array {
  if (typeof text !== "string" || (encoding !== "latin1" && encoding !== "utf-8"))
    throw damaged("the pickle encodes something that is no text", {
      given: `${describePickled(text)} as ${describePickled(encoding)}`,
    });
  return new Uint8Array(Buffer.from(text, encoding));
}

function itemsOf(value: PickleValue | undefined): readonly PickleValue[] {
  if (value === undefined) return [];
  if (Array.isArray(value)) return value;
  if (value instanceof Tuple) return value.items;
  if (value instanceof Set) return [...value];
  throw damaged("the pickle makes a collection of something that is none", {
    given: describePickled(value),
  });
}

function mapOf(pairs: PickleValue | undefined): Map<PickleValue, PickleValue> {
  if (pairs instanceof Map) return new Map(pairs);
  return new Map(
    itemsOf(pairs).map((pair) => {
      const [key, value, ...rest] = itemsOf(pair);
      if (key === undefined || value === undefined || rest.length > 0)
        throw damaged("the pickle makes a dict of something that is no pairs");
      return [key, value] as const;
    }),
  );
}

function counts(value: PickleValue | undefined): number[] {
  if (!(value instanceof Tuple) && !Array.isArray(value))
    throw damaged("a tensor has a shape or strides that are no tuple", { given: describePickled(value) });
  const items = value instanceof Tuple ? value.items : value;
  return items.map(count);
}

function count(value: PickleValue | undefined): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw damaged("a tensor has a size, stride or offset that is no count", {
    given: quoted(describePickled(value)),
  });
}
