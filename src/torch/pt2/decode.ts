/** decodeProgram: the JSON of an exported program, in both dialects, as typed data. */
import { damaged, unsupported } from "../invalid.js";
import { parseJson } from "../json.js";
import type { Json, LazyObject } from "../json-value.js";
import {
  argumentDecoder,
  inputSpecDecoder,
  outputSpecDecoder,
  symBoolValue,
  symFloatValue,
  symIntValue,
  tensorMeta,
} from "./arguments.js";
import { Fields, flag, int, lazy, list, smallInt, table, text } from "./fields.js";
import type {
  ExportedProgram,
  ModuleCall,
  NamedArgument,
  ProgramGraph,
  ProgramNode,
  TensorMeta,
  TensorMetas,
} from "./program.js";

const SCHEMA_MAJOR = 8;

/** What is kept of a node's metadata: the rest is a third of the text and holds the author's file paths. */
const KEPT = new Map([["metadata", new Set(["nn_module_stack"])]]);
/** A program may hold many of these that nobody uses. */
const LAZY = new Set(["tensor_values"]);
const MAX_VALUES = 5_000_000;

/** A program from its JSON, without its weights. Throws MODEL_UNSUPPORTED unless the schema's major version is 8. */
export function decodeProgram(bytes: Uint8Array, name: string): Omit<ExportedProgram, "weights"> {
  const json = parseJson(bytes, "the exported program", {
    nonFinite: true,
    only: KEPT,
    lazy: LAZY,
    maxValues: MAX_VALUES,
  });
  const program = new Fields(json, "program");
  const schema = program.need("schema_version", (value, place) => {
    const fields = new Fields(value, place);
    return { major: fields.need("major", smallInt), minor: fields.need("minor", smallInt) };
  });
  const torchVersion = program.maybe("torch_version", text, "unknown");
  if (schema.major !== SCHEMA_MAJOR) {
    throw unsupported("the exported program has another schema version", {
      given: `${schema.major}.${schema.minor}, written by PyTorch ${torchVersion}`,
      expected: `${SCHEMA_MAJOR}.x, as PyTorch 2.6 and later write it`,
    });
  }
  const module = program.need("graph_module", (value, place) => new Fields(value, place));
  const signature = module.need("signature", (value, place) => new Fields(value, place));
  const decoded = {
    name,
    torchVersion,
    schema,
    opsets: program.need("opset_version", table(smallInt)),
    verifiers: program.maybe("verifiers", list(text), []),
    graph: module.need("graph", decodeGraph),
    inputs: signature.need("input_specs", list(decodeInput)),
    outputs: signature.need("output_specs", list(decodeOutput)),
    modules: module.maybe("module_call_graph", list(decodeModule), []),
    ranges: program.need("range_constraints", table(decodeRange)),
    guards: program.maybe("guards_code", list(text), []),
  };
  if (decoded.inputs.length !== decoded.graph.inputs.length)
    throw damaged("the exported program's signature has another number of inputs than its graph", {
      given: String(decoded.inputs.length),
      expected: String(decoded.graph.inputs.length),
    });
  return decoded;
}

const decodeArgument = argumentDecoder(decodeGraph);
const decodeInput = inputSpecDecoder(decodeArgument);
const decodeOutput = outputSpecDecoder(decodeArgument);

function decodeGraph(value: Json, place: string): ProgramGraph {
  const fields = new Fields(value, place);
  return {
    inputs: fields.need("inputs", list(decodeArgument)),
    outputs: fields.need("outputs", list(decodeArgument)),
    nodes: fields.need("nodes", list(decodeNode)),
    tensors: fields.need("tensor_values", (values, at) => new LazyMetas(lazy(values, at), at)),
    symInts: fields.need("sym_int_values", table(symIntValue)),
    symFloats: fields.maybe("sym_float_values", table(symFloatValue), new Map()),
    symBools: fields.need("sym_bool_values", table(symBoolValue)),
    singleTensorReturn: fields.maybe("is_single_tensor_return", flag, false),
  };
}

class LazyMetas implements TensorMetas {
  readonly #values: LazyObject;
  readonly #place: string;
  readonly #decoded = new Map<string, TensorMeta>();

  constructor(values: LazyObject, place: string) {
    this.#values = values;
    this.#place = place;
  }

  get size(): number {
    return this.#values.size;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  get(name: string): TensorMeta | undefined {
    let meta = this.#decoded.get(name);
    if (meta === undefined) {
      const value = this.#values.get(name);
      if (value === undefined) return undefined;
      meta = tensorMeta(value, `${this.#place}.${name}`);
      this.#decoded.set(name, meta);
    }
    return meta;
  }
}

function decodeNode(value: Json, place: string): ProgramNode {
  const fields = new Fields(value, place);
  return {
    target: fields.need("target", text),
    inputs: fields.need("inputs", list(decodeNamed)),
    outputs: fields.need("outputs", list(decodeArgument)),
    module: fields.maybe("metadata", modulePath, ""),
    singleTensorReturn: fields.maybe("is_hop_single_tensor_return", flag, false),
  };
}

const KEYWORD = 2;

function decodeNamed(value: Json, place: string): NamedArgument {
  const fields = new Fields(value, place);
  const kind = fields.maybe("kind", smallInt, 0);
  return {
    name: fields.need("name", text),
    arg: fields.need("arg", decodeArgument),
    keyword: kind === 0 ? null : kind === KEYWORD,
  };
}

/**
 * The innermost module of `key,path,class;key,path,class`. Older files write the path as Python that reaches it,
 * `getattr(L['self'].layers, '0')` or `L['self'].layers[0]`, and a word in one part where there is none.
 */
function modulePath(value: Json): string {
  const stack = value instanceof Map ? value.get("nn_module_stack") : undefined;
  if (typeof stack !== "string") return "";
  const innermost = stack.slice(stack.lastIndexOf(";") + 1);
  const path = innermost.slice(innermost.indexOf(",") + 1, innermost.lastIndexOf(","));
  if (!innermost.includes(",") || path.includes("_empty_nn_module_stack")) return "";
  if (!path.includes("(") && !path.includes("[")) return path;
  return path
    .replaceAll("getattr(", "")
    .replace(/, '([^']*)'\)/g, ".$1")
    .replace(/^L\['\w+'\]\.?/, "")
    .replace(/\['?(\w+)'?\]/g, ".$1");
}

function decodeModule(value: Json, place: string): ModuleCall {
  const fields = new Fields(value, place);
  return { fqn: fields.need("fqn", text), signature: fields.maybe("signature", decodeSignature, null) };
}

function decodeSignature(value: Json, place: string): NonNullable<ModuleCall["signature"]> {
  const fields = new Fields(value, place);
  return {
    inSpec: fields.need("in_spec", text),
    outSpec: fields.need("out_spec", text),
    argNames: fields.maybe("forward_arg_names", list(text), null),
  };
}

function decodeRange(
  value: Json,
  place: string,
): { min: number | bigint | null; max: number | bigint | null } {
  const fields = new Fields(value, place);
  return { min: fields.maybe("min_val", int, null), max: fields.maybe("max_val", int, null) };
}
