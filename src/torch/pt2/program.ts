/** ExportedProgram: what `torch.export.save` wrote (schema major 8, torch/_export/serde/schema.py), as plain typed data. */
import type { TorchDType } from "../dtypes.js";
import type { TensorRef } from "../tensor-ref.js";

/** An exact integer: a bigint beyond 2^53 (`9223372036854775807`, the end of a slice to the end). */
export type ProgramInt = number | bigint;

/** A number that is known only when the program runs: a value of the graph (`sym_size_int_1`). */
export interface SymName {
  readonly name: string;
}

/** A size as an expression of symbols: `Symbol('s0', positive=True, integer=True)`, sums and products of them. */
export interface SymExpr {
  readonly expr: string;
  /** What it was for the example inputs of the export. */
  readonly hint: ProgramInt | boolean | null;
}

/** A dimension, stride or offset in the metadata of a tensor. */
export type SymSize = number | SymExpr;

export type MemoryFormat = "unknown" | "contiguous" | "channelsLast" | "channelsLast3d" | "preserve";
export type Layout =
  | "unknown"
  | "sparseCoo"
  | "sparseCsr"
  | "sparseCsc"
  | "sparseBsr"
  | "sparseBsc"
  | "mkldnn"
  | "strided";

export interface Device {
  /** `cpu`, `cuda`, … */
  readonly type: string;
  readonly index: number | null;
}

/** What each kind of argument holds. Names are those of values in the graph. */
interface ArgumentFields {
  none: unknown;
  tensor: { readonly name: string };
  tensors: { readonly names: readonly string[] };
  optionalTensors: { readonly names: readonly (string | null)[] };
  nestedTensors: { readonly names: readonly (readonly string[])[] };
  int: { readonly value: ProgramInt };
  ints: { readonly values: readonly ProgramInt[] };
  intLists: { readonly values: readonly (readonly ProgramInt[])[] };
  float: { readonly value: number };
  floats: { readonly values: readonly number[] };
  floatLists: { readonly values: readonly (readonly number[])[] };
  bool: { readonly value: boolean };
  bools: { readonly values: readonly boolean[] };
  string: { readonly value: string };
  strings: { readonly values: readonly string[] };
  symInt: { readonly value: ProgramInt | SymName };
  symInts: { readonly values: readonly (ProgramInt | SymName)[] };
  symFloat: { readonly value: number | SymName };
  symFloats: { readonly values: readonly (number | SymName)[] };
  symBool: { readonly value: boolean | SymName };
  symBools: { readonly values: readonly (boolean | SymName)[] };
  complex: { readonly re: number; readonly im: number };
  /** undefined: an element type that is refused (quantised, packed). */
  scalarType: { readonly dtype: TorchDType | undefined };
  memoryFormat: { readonly value: MemoryFormat };
  layout: { readonly value: Layout };
  device: { readonly value: Device };
  graph: { readonly name: string; readonly graph: ProgramGraph };
  customObject: { readonly name: string; readonly className: string };
  operator: { readonly target: string };
  named: { readonly values: ReadonlyMap<string, Argument> };
}

export type ArgumentKind = keyof ArgumentFields;

export type ArgumentOf<K extends ArgumentKind> = { readonly kind: K } & ArgumentFields[K];

/** An argument or result of a node. `as_optional_tensor` is read as `tensor` or `none`. */
export type Argument = { [K in ArgumentKind]: ArgumentOf<K> }[ArgumentKind];

export interface NamedArgument {
  /** The name in the op's schema, also for positional ones; empty for higher-order ops. */
  readonly name: string;
  readonly arg: Argument;
  /** null: files before schema 8.7 do not tell. */
  readonly keyword: boolean | null;
}

export interface ProgramNode {
  /** `torch.ops.aten.linear.default`. */
  readonly target: string;
  /** Arguments that equal their default are absent. */
  readonly inputs: readonly NamedArgument[];
  readonly outputs: readonly Argument[];
  /** Path of the module that the node comes from (`encoder.layer.0`), for messages; empty: the model itself. */
  readonly module: string;
  /** For higher-order ops: the result is one tensor, not a tuple of one. */
  readonly singleTensorReturn: boolean;
}

export interface TensorMeta {
  readonly dtype: TorchDType;
  readonly sizes: readonly SymSize[];
  readonly strides: readonly SymSize[];
  readonly storageOffset: SymSize;
  readonly device: Device;
  readonly layout: Layout;
  readonly requiresGrad: boolean;
}

/** Metadata by name, decoded when it is asked for: a file can hold many that nobody uses. */
export interface TensorMetas {
  readonly size: number;
  has(name: string): boolean;
  /** undefined: the file has none. Throws MODEL_UNSUPPORTED for an element type or layout that is refused. */
  get(name: string): TensorMeta | undefined;
}

export interface ProgramGraph {
  readonly inputs: readonly Argument[];
  readonly outputs: readonly Argument[];
  /** In the order in which they run. */
  readonly nodes: readonly ProgramNode[];
  readonly tensors: TensorMetas;
  readonly symInts: ReadonlyMap<string, ProgramInt | SymExpr>;
  readonly symFloats: ReadonlyMap<string, number | SymExpr>;
  readonly symBools: ReadonlyMap<string, boolean | SymExpr>;
  readonly singleTensorReturn: boolean;
}

/** What an input of the graph is. `name` is the value, `target` the path in the module. */
export type InputSpec =
  | { readonly kind: "userInput"; readonly arg: Argument }
  | { readonly kind: "parameter"; readonly name: string; readonly target: string }
  | { readonly kind: "buffer"; readonly name: string; readonly target: string; readonly persistent: boolean }
  | { readonly kind: "tensorConstant"; readonly name: string; readonly target: string }
  | { readonly kind: "customObject"; readonly name: string; readonly target: string }
  | { readonly kind: "token"; readonly name: string }
  /** An argument that is no tensor and was frozen by the export. */
  | {
      readonly kind: "constantInput";
      readonly name: string;
      readonly value: null | ProgramInt | boolean | string;
    };

export type OutputSpec =
  | { readonly kind: "userOutput"; readonly arg: Argument }
  | { readonly kind: "lossOutput"; readonly name: string }
  | {
      readonly kind:
        | "bufferMutation"
        | "parameterMutation"
        | "gradientToParameter"
        | "gradientToUserInput"
        | "userInputMutation";
      readonly name: string;
      readonly target: string;
    }
  | { readonly kind: "token"; readonly name: string };

export interface ModuleCall {
  /** Path of the module; empty: the model itself. */
  readonly fqn: string;
  readonly signature: null | {
    /** Pytree specs, as JSON texts. */
    readonly inSpec: string;
    readonly outSpec: string;
    readonly argNames: readonly string[] | null;
  };
}

export interface ExportedProgram {
  /** Name of the model in the archive; `model` in files before PyTorch 2.8. */
  readonly name: string;
  readonly torchVersion: string;
  readonly schema: { readonly major: number; readonly minor: number };
  /** Version by namespace (`aten`). */
  readonly opsets: ReadonlyMap<string, number>;
  /** `TRAINING`: not decomposed, which is what export gives. */
  readonly verifiers: readonly string[];
  readonly graph: ProgramGraph;
  /** One per input of the graph, in their order. */
  readonly inputs: readonly InputSpec[];
  readonly outputs: readonly OutputSpec[];
  readonly modules: readonly ModuleCall[];
  /** Bounds of symbols; null is open. */
  readonly ranges: ReadonlyMap<string, { readonly min: ProgramInt | null; readonly max: ProgramInt | null }>;
  /** Conditions on the inputs, as Python expressions. */
  readonly guards: readonly string[];
  /** Parameters, buffers and constants by path in the module, unread. Every spec's `target` is in it. */
  readonly weights: ReadonlyMap<string, TensorRef>;
}
