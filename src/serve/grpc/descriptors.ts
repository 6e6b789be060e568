/** Descriptors: the message tables in the words of protobuf's own `descriptor.proto`, for clients that ask. */
import { encode } from "../protobuf/encode.js";
import {
  type DecodedOf,
  type EnumType,
  type Fields,
  isEnum,
  isMessage,
  type MessageType,
  many,
  message,
  type NamedField,
  one,
  oneOf,
  type ScalarKind,
  type Written,
} from "../protobuf/table.js";

// `oneOf`: 0 is written too where it differs from "not set".
const EnumValueDescriptorProto = message("EnumValueDescriptorProto", {
  name: one(1, "string"),
  number: oneOf(2, "int32", "set"),
});
const EnumDescriptorProto = message("EnumDescriptorProto", {
  name: one(1, "string"),
  value: many(2, EnumValueDescriptorProto),
});
const FieldDescriptorProto = message("FieldDescriptorProto", {
  name: one(1, "string"),
  number: one(3, "int32"),
  label: one(4, "int32"),
  type: one(5, "int32"),
  type_name: one(6, "string"),
  oneof_index: oneOf(9, "int32", "set"),
  json_name: one(10, "string"),
});
const DescriptorProto = message("DescriptorProto", {
  name: one(1, "string"),
  field: many(2, FieldDescriptorProto),
  /** Messages of this very kind. */
  nested_type: many(3, "bytes"),
  enum_type: many(4, EnumDescriptorProto),
  options: one(7, message("MessageOptions", { map_entry: one(7, "bool") })),
  oneof_decl: many(8, message("OneofDescriptorProto", { name: one(1, "string") })),
});
const FileDescriptorProto = message("FileDescriptorProto", {
  name: one(1, "string"),
  package: one(2, "string"),
  message_type: many(4, "bytes"),
  enum_type: many(5, EnumDescriptorProto),
  service: many(
    6,
    message("ServiceDescriptorProto", {
      name: one(1, "string"),
      method: many(
        2,
        message("MethodDescriptorProto", {
          name: one(1, "string"),
          input_type: one(2, "string"),
          output_type: one(3, "string"),
          client_streaming: one(5, "bool"),
          server_streaming: one(6, "bool"),
        }),
      ),
    }),
  ),
  syntax: one(12, "string"),
});

type FieldDescriptor = Written<DecodedOf<typeof FieldDescriptorProto>>;

/** A method of a service, as it is described. */
export interface DescribedMethod {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly request: MessageType<Fields>;
  readonly response: MessageType<Fields>;
  readonly clientStreams: boolean;
  readonly serverStreams: boolean;
}

/** One file: the messages and the services of a package. */
export interface DescribedFile {
  readonly name: string;
  readonly bytes: Buffer;
  /** Full names of the services, their methods, and the messages and enums. */
  readonly symbols: ReadonlySet<string>;
  readonly services: readonly string[];
}

/** A file for each package. */
export function describeFiles(methods: readonly DescribedMethod[]): readonly DescribedFile[] {
  const packages = grouped(methods, ({ path }) => path.slice(1, path.lastIndexOf(".")));
  return [...packages].map(([name, own]) => describeFile(name, own));
}

function describeFile(packageName: string, methods: readonly DescribedMethod[]): DescribedFile {
  const types = new Types();
  for (const { request, response } of methods) {
    types.add(request);
    types.add(response);
  }
  const services = grouped(methods, ({ path }) => path.slice(1, path.indexOf("/", 1)));
  const full = (name: string): string => `.${packageName}.${name}`;
  const bytes = encode(FileDescriptorProto, {
    name: fileName(packageName),
    package: packageName,
    message_type: types.inside("").map((node) => describeMessage(node, types, full)),
    enum_type: types.enumsInside("").map(describeEnum),
    service: [...services].map(([service, own]) => ({
      name: service.slice(packageName.length + 1),
      method: own.map(({ path, request, response, clientStreams, serverStreams }) => ({
        name: path.slice(path.lastIndexOf("/") + 1),
        input_type: full(request.name),
        output_type: full(response.name),
        client_streaming: clientStreams,
        server_streaming: serverStreams,
      })),
    })),
    syntax: "proto3",
  });
  const symbols = [
    ...types.names.map((name) => `${packageName}.${name}`),
    ...services.keys(),
    ...methods.map(({ path }) => path.slice(1).replace("/", ".")),
  ];
  return {
    name: fileName(packageName),
    bytes: Buffer.from(bytes),
    symbols: new Set(symbols),
    services: [...services.keys()],
  };
}

function grouped<T>(list: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const item of list) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}

/** `grpc.health.v1` → `grpc/health/v1.proto`. */
function fileName(packageName: string): string {
  return `${packageName.replaceAll(".", "/")}.proto`;
}

/** The messages and enums that a file needs, by their names, of which a dot separates what lies in what. */
class Types {
  readonly #messages = new Map<string, MessageType<Fields> | undefined>();
  readonly #enums = new Map<string, EnumType>();

  get names(): readonly string[] {
    return [...this.#messages.keys(), ...this.#enums.keys()];
  }

  add(type: MessageType<Fields>): void {
    if (this.#messages.get(type.name) !== undefined) return;
    this.#within(type.name);
    this.#messages.set(type.name, type);
    for (const { kind } of type.list) {
      if (isMessage(kind)) this.add(kind);
      else if (isEnum(kind)) {
        this.#within(kind.name);
        this.#enums.set(kind.name, kind);
      }
    }
  }

  /** Messages that hold others are there, even where nothing uses them by themselves. */
  #within(name: string): void {
    const outer = parentOf(name);
    if (outer === "" || this.#messages.has(outer)) return;
    this.#within(outer);
    this.#messages.set(outer, undefined);
  }

  inside(outer: string): [string, MessageType<Fields> | undefined][] {
    return [...this.#messages].filter(([name]) => parentOf(name) === outer);
  }

  enumsInside(outer: string): EnumType[] {
    return [...this.#enums.values()].filter(({ name }) => parentOf(name) === outer);
  }
}

function parentOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf(".")));
}

function lastOf(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1);
}

function describeMessage(
  [name, type]: readonly [string, MessageType<Fields> | undefined],
  types: Types,
  full: (name: string) => string,
): Uint8Array {
  const list = type?.list ?? [];
  const oneofs = [...new Set(list.flatMap(({ oneof }) => oneof ?? []))];
  return encode(DescriptorProto, {
    name: lastOf(name),
    field: list.map((field): FieldDescriptor => {
      if (field.key !== undefined) {
        const entry = full(`${name}.${entryName(field)}`);
        return { ...head(field), label: REPEATED, type: TYPE_MESSAGE, type_name: entry };
      }
      const at = field.oneof === undefined ? undefined : oneofs.indexOf(field.oneof);
      return {
        ...head(field),
        label: field.repeated ? REPEATED : OPTIONAL,
        ...typeOf(field, full),
        ...(at === undefined ? {} : { oneof_index: at }),
      };
    }),
    nested_type: [
      ...types.inside(name).map((node) => describeMessage(node, types, full)),
      ...list.flatMap((field) => (field.key === undefined ? [] : [describeEntry(field, field.key, full)])),
    ],
    enum_type: types.enumsInside(name).map(describeEnum),
    oneof_decl: oneofs.map((oneof) => ({ name: oneof })),
  });
}

function describeEntry(field: NamedField, key: ScalarKind, full: (name: string) => string): Uint8Array {
  return encode(DescriptorProto, {
    name: entryName(field),
    field: [
      { name: "key", json_name: "key", number: 1, label: OPTIONAL, type: SCALAR_TYPES[key] },
      { name: "value", json_name: "value", number: 2, label: OPTIONAL, ...typeOf(field, full) },
    ],
    options: { map_entry: true },
  });
}

function describeEnum({ name, names }: EnumType): Written<DecodedOf<typeof EnumDescriptorProto>> {
  return { name: lastOf(name), value: names.map((value, number) => ({ name: value, number })) };
}

/** `cc_model_filenames` → `CcModelFilenamesEntry`. */
function entryName({ name }: NamedField): string {
  return `${name.replace(/(?:^|_)([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())}Entry`;
}

function head({ name, number }: NamedField): FieldDescriptor {
  return {
    name,
    number,
    json_name: name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()),
  };
}

const OPTIONAL = 1;
const REPEATED = 3;
const TYPE_MESSAGE = 11;
const TYPE_ENUM = 14;

const SCALAR_TYPES: Readonly<Record<ScalarKind, number>> = {
  double: 1,
  float: 2,
  int64: 3,
  uint64: 4,
  int32: 5,
  bool: 8,
  string: 9,
  bytes: 12,
  uint32: 13,
};

function typeOf({ kind }: NamedField, full: (name: string) => string): FieldDescriptor {
  if (isMessage(kind)) return { type: TYPE_MESSAGE, type_name: full(kind.name) };
  if (isEnum(kind)) return { type: TYPE_ENUM, type_name: full(kind.name) };
  return { type: SCALAR_TYPES[kind] };
}
