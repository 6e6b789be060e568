/** The graph builder: how tests, losses and passes make models. Values are plain strings, their ONNX names. */
import { TenonError } from "../base/index.js";
import { type DType, type Tensor, Tensor as TensorClass } from "../tensor/index.js";
import { check } from "./check.js";
import {
  type Attr,
  type AttrKind,
  type Dim,
  type Graph,
  type Model,
  makeGraph,
  makeNode,
  type Node,
  normalizeDomain,
  type TensorData,
  type Value,
  type ValueType,
} from "./graph.js";
import { renameUses } from "./rename.js";
import { opRow } from "./spec.js";
import { tensorData } from "./tensor-data.js";

/**
 * An attribute as JavaScript has it. What it becomes is what the op's schema says: `1` is a float for
 * `LeakyRelu.alpha` and an int for `Gather.axis`. For ops without a schema an integer number is an int, another
 * number a float; give `{ kind: "float", value: 1 }` to say it yourself.
 */
export type AttrInput =
  | number
  | bigint
  | boolean
  | string
  | Tensor
  | Graph
  | GraphBuilder
  | Attr
  | readonly (number | bigint | string | Tensor | Graph)[];

export interface GraphOptions {
  /** Version of the default domain; default 20. */
  readonly opset?: number;
  /** Versions of other domains; a domain that is used and not listed is imported at version 1. */
  readonly domains?: Readonly<Record<string, number>>;
  readonly name?: string;
  /** Default 10, raised by dtypes that need more. */
  readonly irVersion?: number;
}

export interface AddOptions {
  /** Number of outputs, or their names; default 1. `""` is an output that is not wanted. */
  readonly outputs?: number | string | readonly string[];
  readonly name?: string;
  readonly domain?: string;
}

const DEFAULT_OPSET = 20;
const DEFAULT_IR = 10;

/** Lowest IR version that knows a dtype, where that is above the default. */
const IR_OF_DTYPE: { readonly [D in DType]?: number } = {
  float4e2m1: 11,
  float8e8m0: 12,
  int2: 13,
  uint2: 13,
  float6e2m3: 14,
  float6e3m2: 14,
};

/**
 * A new, empty graph.
 *
 *     const g = graph({ opset: 20 });
 *     const x = g.input("x", "float32", ["batch", 4]);
 *     const w = g.initializer("w", weights);
 *     g.output(g.add("MatMul", [x, w]), "y");
 *     const model = g.model();
 */
export function graph(options: GraphOptions = {}): GraphBuilder {
  return new GraphBuilder(options, new Set(), new Map());
}

/** Collects nodes; `model()` checks and freezes them. Made by `graph` and `subgraph`. */
export class GraphBuilder {
  readonly #options: GraphOptions;
  /** Names of this graph and of all graphs around it: ONNX lets no inner graph redefine one. */
  readonly #names: Set<string>;
  readonly #domains: Map<string, number>;
  readonly #inputs: Value[] = [];
  readonly #outputs: Value[] = [];
  readonly #nodes: Node[] = [];
  readonly #initializers = new Map<string, TensorData>();
  /** Node outputs that were given another name when they became graph outputs. */
  readonly #renamed = new Map<string, string>();
  #counter = 0;

  constructor(options: GraphOptions, names: Set<string>, domains: Map<string, number>) {
    this.#options = options;
    this.#names = names;
    this.#domains = domains;
  }

  /** Declares an input. Dims: sizes, symbols, or null for an unknown size; without dims the rank is unknown. */
  input(name: string, dtype: DType, dims?: readonly Dim[]): string {
    this.#define(name);
    this.#inputs.push({ name, type: tensorType(dtype, dims) });
    return name;
  }

  /** Declares an input of any type, or without one (as inputs of subgraphs may be). */
  inputOf(name: string, type?: ValueType): string {
    this.#define(name);
    this.#inputs.push({ name, ...(type === undefined ? {} : { type }) });
    return name;
  }

  /** A constant. The tensor's bytes are not copied. */
  initializer(name: string, tensor: Tensor): string {
    this.#define(name);
    this.#initializers.set(name, tensorData(tensor, name));
    return name;
  }

  /**
   * Adds a node; inputs are value names, `""` where an optional one is left out. Returns the output's name, or all
   * names when there are several outputs.
   */
  add(
    op: string,
    inputs: readonly string[],
    attrs?: Readonly<Record<string, AttrInput | undefined>>,
    options?: AddOptions & { readonly outputs?: 1 | string | readonly [string] },
  ): string;
  add(
    op: string,
    inputs: readonly string[],
    attrs: Readonly<Record<string, AttrInput | undefined>> | undefined,
    options: AddOptions & { readonly outputs: number | readonly string[] },
  ): string[];
  add(
    op: string,
    inputs: readonly string[],
    attrs: Readonly<Record<string, AttrInput | undefined>> = {},
    options: AddOptions = {},
  ): string | string[] {
    const domain = normalizeDomain(options.domain ?? "");
    const outputs = this.#outputNames(op, options.outputs ?? 1);
    const opset = this.#opsetOf(domain);
    const row = opRow(domain, op, opset);
    const converted = new Map<string, Attr>();
    for (const [name, value] of Object.entries(attrs)) {
      if (value === undefined) continue;
      converted.set(name, toAttr(value, row?.attrs.get(name)?.kind, `${op}.${name}`));
    }
    this.#nodes.push(
      makeNode({ op, domain, name: options.name ?? "", inputs: [...inputs], outputs, attrs: converted }),
    );
    return outputs.length === 1 ? outputs[0]! : outputs;
  }

  /**
   * Makes a value an output of the graph, under another name if given (a node's output is renamed; where that is not
   * possible an Identity is added). Returns the output's name. The type is optional: runtimes infer it.
   */
  output(value: string, name?: string, type?: ValueType): string {
    const produced = this.#nodes.some((node) => node.outputs.includes(value));
    const local =
      produced || this.#initializers.has(value) || this.#inputs.some((input) => input.name === value);
    const isOutput = this.#renamed.has(value) || this.#outputs.some((output) => output.name === value);
    let final = name ?? value;
    if (name !== undefined && name !== value && produced && !isOutput) {
      this.#define(name);
      this.#renamed.set(value, name);
    } else if (!local || isOutput || final !== value) {
      // A value of an outer graph, and a second output of one value, need a node of their own.
      final = this.add(
        "Identity",
        [value],
        {},
        name === undefined || name === value ? {} : { outputs: name },
      );
    }
    this.#outputs.push({ name: final, ...(type === undefined ? {} : { type }) });
    return final;
  }

  /** A builder for the body of If, Loop or Scan: pass it as the attribute's value. It sees this graph's values. */
  subgraph(name: string): GraphBuilder {
    return new GraphBuilder({ ...this.#options, name }, this.#names, this.#domains);
  }

  /** The graph as it stands, not checked. */
  graph(): Graph {
    const rename = (name: string): string => this.#renamed.get(name) ?? name;
    return makeGraph({
      name: this.#options.name ?? "main",
      inputs: [...this.#inputs],
      outputs: [...this.#outputs],
      nodes:
        this.#renamed.size === 0 ? [...this.#nodes] : this.#nodes.map((node) => renameUses(node, rename)),
      initializers: new Map(this.#initializers),
    });
  }

  /** The checked model. Throws MODEL_INVALID with the first defect. */
  model(): Model {
    const opset = this.#options.opset ?? DEFAULT_OPSET;
    const model: Model = Object.freeze({
      irVersion: this.#options.irVersion ?? this.#leastIr(),
      opsets: new Map([["", opset], ...this.#domains]),
      graph: this.graph(),
      functions: new Map(),
      metadata: new Map(),
      producer: { name: "tenon", version: "" },
      domain: "",
      modelVersion: 0,
    });
    check(model);
    return model;
  }

  #leastIr(): number {
    let least = DEFAULT_IR;
    const use = (dtype: DType | null): void => {
      least = Math.max(least, (dtype === null ? undefined : IR_OF_DTYPE[dtype]) ?? 0);
    };
    for (const data of this.#initializers.values()) use(data.dtype);
    for (const { type } of this.#inputs) if (type?.kind === "tensor") use(type.dtype);
    return least;
  }

  #opsetOf(domain: string): number {
    if (domain === "") return this.#options.opset ?? DEFAULT_OPSET;
    let version = this.#domains.get(domain);
    if (version === undefined) {
      version = this.#options.domains?.[domain] ?? 1;
      this.#domains.set(domain, version);
    }
    return version;
  }

  #outputNames(op: string, outputs: number | string | readonly string[]): string[] {
    if (typeof outputs === "number") return Array.from({ length: outputs }, () => this.#fresh(op));
    const names = typeof outputs === "string" ? [outputs] : [...outputs];
    for (const name of names) if (name !== "") this.#define(name);
    return names;
  }

  #fresh(op: string): string {
    for (;;) {
      const name = `${op}_${this.#counter++}`;
      if (this.#names.has(name)) continue;
      this.#names.add(name);
      return name;
    }
  }

  #define(name: string): void {
    if (name === "" || this.#names.has(name)) {
      throw new TenonError("USAGE", {
        problem: name === "" ? "a value needs a name" : `the graph already has a value of this name`,
        given: `"${name}"`,
      });
    }
    this.#names.add(name);
  }
}

function tensorType(dtype: DType, dims: readonly Dim[] | undefined): ValueType {
  return dims === undefined ? { kind: "tensor", dtype } : { kind: "tensor", dtype, shape: [...dims] };
}

/** A JavaScript value as an attribute of `kind`, or of the kind that the value suggests. */
function toAttr(value: AttrInput, kind: AttrKind | undefined, what: string): Attr {
  if (isAttr(value)) return value;
  const wanted = kind ?? suggestedKind(value);
  const converted = wanted === undefined ? undefined : convert(value, wanted);
  if (wanted === undefined || converted === undefined) {
    throw new TenonError("USAGE", {
      problem: `the attribute ${what} does not take this value`,
      given: describe(value),
      expected: wanted ?? "a number, bigint, string, tensor, graph or a list of one of them",
    });
  }
  return Object.freeze({ kind: wanted, value: converted } as Attr);
}

function isAttr(value: AttrInput): value is Attr {
  return typeof value === "object" && "kind" in value && ("value" in value || value.kind === "reference");
}

function suggestedKind(value: AttrInput): AttrKind | undefined {
  if (Array.isArray(value)) {
    const first = suggestedKind(value.length === 0 ? 0 : (value[0] as AttrInput));
    if (first === "int") return value.every((item) => suggestedKind(item) === "int") ? "ints" : "floats";
    return first === undefined ? undefined : (`${first}s` as AttrKind);
  }
  if (typeof value === "number") return Number.isSafeInteger(value) ? "int" : "float";
  if (typeof value === "bigint" || typeof value === "boolean") return "int";
  if (typeof value === "string") return "string";
  if (value instanceof TensorClass) return "tensor";
  return value instanceof GraphBuilder || isGraph(value) ? "graph" : undefined;
}

/** undefined when the value does not fit the kind. */
function convert(value: AttrInput, kind: AttrKind): unknown {
  switch (kind) {
    case "float":
      return typeof value === "number" && fitsFloat(value) ? value : undefined;
    case "int":
      if (typeof value === "boolean") return value ? 1 : 0;
      return isInt(value) ? value : undefined;
    case "string":
      return typeof value === "string" ? value : undefined;
    case "tensor":
      return value instanceof TensorClass ? tensorData(value) : undefined;
    case "graph":
      if (value instanceof GraphBuilder) return value.graph();
      return isGraph(value) ? value : undefined;
    case "floats":
    case "ints":
    case "strings":
    case "tensors":
    case "graphs":
      return convertAll(value, kind.slice(0, -1) as AttrKind);
    default:
      return undefined;
  }
}

function convertAll(value: AttrInput, kind: AttrKind): unknown[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const items = value.map((item) => convert(item, kind));
  return items.includes(undefined) ? undefined : items;
}

function fitsFloat(value: number): boolean {
  return !Number.isFinite(value) || Number.isFinite(Math.fround(value));
}

function isInt(value: unknown): value is number | bigint {
  return typeof value === "bigint" ? BigInt.asIntN(64, value) === value : Number.isSafeInteger(value);
}

function isGraph(value: unknown): value is Graph {
  return typeof value === "object" && value !== null && "nodes" in value && "initializers" in value;
}

function describe(value: AttrInput): string {
  if (value instanceof TensorClass) return String(value);
  return Array.isArray(value) ? `[${value.map(String).join(", ")}]` : String(value);
}
