/** The graph builder: how tests, losses and passes make models. Values are plain strings, their ONNX names. */
import { TenonError } from "../base/index.js";
import { type DType, parseDType, type Tensor } from "../tensor/core.js";
import { type AttrInput, toAttrs } from "./attr-input.js";
import { checkedTypes } from "./check.js";
import type { TypeName } from "./check-types.js";
import {
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
import { tensorData } from "./tensor-data.js";

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

  /** A constant that is given as it lies in a file. */
  weight(name: string, data: TensorData): string {
    this.#define(name);
    this.#initializers.set(name, data);
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
    const converted = toAttrs(op, domain, opset, attrs);
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
    return withOutputTypes(model, checkedTypes(model));
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

/** Outputs that were given no type get the dtype that follows from their node. */
function withOutputTypes(model: Model, types: ReadonlyMap<string, TypeName>): Model {
  const outputs = model.graph.outputs.map((output) => {
    const type = types.get(output.name);
    if (output.type !== undefined || type === undefined || type.includes("(")) return output;
    return Object.freeze({ ...output, type: { kind: "tensor", dtype: parseDType(type) } as const });
  });
  return Object.freeze({ ...model, graph: makeGraph({ ...model.graph, outputs }) });
}

function tensorType(dtype: DType, dims: readonly Dim[] | undefined): ValueType {
  return dims === undefined ? { kind: "tensor", dtype } : { kind: "tensor", dtype, shape: [...dims] };
}
