/** programToModel: an exported program of PyTorch as an ONNX model on the program's own weights. */
import { isTenonError, type TenonError } from "../../base/index.js";
import { check, graph, type OnnxModel } from "../../onnx/index.js";
import { byteLengthOf, type DType, dtypeInfo } from "../../tensor/index.js";
import { quoted, unsupported } from "../invalid.js";
import type { ExportedProgram, TensorMeta } from "../pt2/program.js";
import { type ReadProgramOptions, readProgram } from "../pt2/read.js";
import type { TensorRef } from "../tensor-ref.js";
import { tensorDataOf } from "../weight-data.js";
import type { Emitter } from "./emitter.js";
import { dimNames, outputNames } from "./names.js";
import { Translator, type UnsupportedOp } from "./translator.js";

export interface ProgramOptions {
  /**
   * What the graph computes in. `auto` (default): bfloat16, which has few kernels on the CPU, is widened to float32;
   * `float32` widens float16 too; `keep` widens nothing. Weights stay as they are in the file.
   */
  readonly dtype?: "auto" | "float32" | "keep";
  /** Version of the default domain, 20 or newer. Default 20. */
  readonly opset?: number;
  /** Names of free dims by the program's symbol (`s53`). */
  readonly dims?: Readonly<Record<string, string>>;
}

export interface ConvertProgramOptions extends ProgramOptions, ReadProgramOptions {}

/**
 * Reads a `.pt2` file and translates it. As `readProgram` and `programToModel`.
 *
 * @example
 * const model = await convertProgram("resnet50.pt2");
 * await saveModel(model, "resnet50.onnx"); // beside the archive: no weight is copied
 */
export async function convertProgram(path: string, options: ConvertProgramOptions = {}): Promise<OnnxModel> {
  return programToModel(await readProgram(path, options), options);
}

const WIDENED: Readonly<Record<NonNullable<ProgramOptions["dtype"]>, ReadonlySet<DType>>> = {
  auto: new Set(["bfloat16"]),
  float32: new Set(["bfloat16", "float16"]),
  keep: new Set(),
};

/**
 * An exported program as a checked ONNX model: inputs under their names in the program, outputs by the structure that the
 * model returned, sizes that were dynamic in the export free. Contiguous weights are external data in the archive.
 *
 * Throws USAGE for `dims` that the program does not have, and MODEL_UNSUPPORTED with every op that has no ONNX form, how
 * often it occurs and in which modules; nothing is left out of a graph, and no argument is ignored that could change a
 * result.
 */
export function programToModel(program: ExportedProgram, options: ProgramOptions = {}): OnnxModel {
  const widened = WIDENED[options.dtype ?? "auto"];
  const dtypeOf = (dtype: DType): DType => (widened.has(dtype) ? "float32" : dtype);
  refuseEffects(program);
  const g = graph({ opset: options.opset ?? 20, name: program.name });
  const translator = new Translator(g, dtypeOf);
  const metaOf = (name: string): TensorMeta => {
    const meta = program.graph.tensors.get(name);
    if (meta === undefined) throw unsupported("the file does not describe a value", { given: quoted(name) });
    refuseDType(meta.dtype, name);
    return meta;
  };

  const users = program.inputs.flatMap((spec) =>
    spec.kind === "userInput" && spec.arg.kind === "tensor" ? [metaOf(spec.arg.name)] : [],
  );
  const results = program.outputs.flatMap((spec) =>
    spec.kind === "userOutput" && spec.arg.kind === "tensor" ? [spec.arg.name] : [],
  );
  const given = results.flatMap((name) => program.graph.tensors.get(name) ?? []);
  const dims = dimNames(users, given, options.dims ?? {});
  const inputs = new Set(
    program.inputs.flatMap((spec) =>
      spec.kind === "userInput" && spec.arg.kind === "tensor" ? [spec.arg.name] : [],
    ),
  );
  const emitWeight = weightEmitter(translator.c, dtypeOf);
  for (const spec of program.inputs) {
    switch (spec.kind) {
      case "userInput": {
        if (spec.arg.kind === "none") break;
        if (spec.arg.kind !== "tensor") {
          if ("value" in spec.arg && typeof spec.arg.value !== "object") break;
          throw unsupported("an input is no tensor", {
            given: spec.arg.kind,
            do: "make it a constant before the export",
          });
        }
        const meta = metaOf(spec.arg.name);
        const value = g.input(spec.arg.name, dtypeOf(meta.dtype), meta.sizes.map(dims));
        translator.bind(spec.arg.name, value, meta);
        break;
      }
      case "parameter":
      case "buffer":
      case "tensorConstant": {
        const ref = program.weights.get(spec.target)!;
        const name = inputs.has(spec.target) ? spec.name : spec.target;
        translator.bind(spec.name, () => emitWeight(name, ref), metaOf(spec.name));
        break;
      }
      case "constantInput":
        break;
      default:
        throw unsupported(`the program takes a ${spec.kind}, which has no ONNX form`, { given: spec.name });
    }
  }
  translator.run(program.graph);

  const values = results.map((name) => translator.valueOf(name));
  refuseUnsupported(program, translator);
  const names = outputNames(
    program.modules.find(({ fqn }) => fqn === "")?.signature?.outSpec,
    results.length,
  );
  results.forEach((name, i) => {
    const meta = translator.metaOf(name)!;
    const type = { kind: "tensor", dtype: dtypeOf(meta.dtype), shape: meta.sizes.map(dims) } as const;
    g.output(values[i]!, freeName(program, names[i]!), type);
  });
  const metadata = new Map([["torch", program.torchVersion]]);
  const dropped = program.outputs.flatMap((spec) => (spec.kind === "bufferMutation" ? [spec.target] : []));
  if (dropped.length > 0) metadata.set("torch.buffers_not_kept", JSON.stringify(dropped));
  if (program.guards.length > 0) metadata.set("torch.guards", JSON.stringify(program.guards));
  try {
    const model = Object.freeze({ ...g.model(), metadata });
    check(model);
    return model;
  } catch (error) {
    // What an op of ONNX does not take, such as integers in a convolution, is told of the program's own op.
    const node = isTenonError(error, "MODEL_INVALID") ? error.details.node : undefined;
    const origin = typeof node === "string" ? translator.c.originOf(node) : undefined;
    if (origin === undefined) throw error;
    translator.refuse(origin, (error as TenonError).given ?? "its operands");
    refuseUnsupported(program, translator);
    throw error;
  }
}

function refuseUnsupported(program: ExportedProgram, { unsupported }: Translator): void {
  if (unsupported.size > 0) throw refusal(program, [...unsupported.values()]);
}

/** An output that is called as an input gets a name of its own. */
function freeName(program: ExportedProgram, name: string): string {
  const taken = program.inputs.some(
    (spec) =>
      (spec.kind === "userInput" && spec.arg.kind === "tensor" && spec.arg.name === name) ||
      ("target" in spec && spec.target === name),
  );
  return taken ? `${name}_out` : name;
}

/** Emits weights; those that share a part of a storage are one initializer. */
function weightEmitter(
  c: Emitter,
  dtypeOf: (dtype: DType) => DType,
): (name: string, ref: TensorRef) => string {
  const ids = new Map<object, number>();
  const values = new Map<string, string>();
  return (name, ref) => {
    const { storage, offset, shape, strides, dtype } = ref;
    refuseDType(dtype, name);
    if (!ids.has(storage)) ids.set(storage, ids.size);
    const key = `${ids.get(storage)}:${offset}:${dtype}:${shape}:${strides}`;
    let value = values.get(key);
    if (value === undefined) {
      value = c.cast(c.g.weight(name, { ...tensorDataOf(ref), name }), dtype, dtypeOf(dtype));
      values.set(key, value);
    }
    return value;
  };
}

function refuseDType(dtype: DType, name: string): void {
  const { kind, bits } = dtypeInfo(dtype);
  if (kind === "complex" || (kind === "float" && bits < 16) || byteLengthOf(dtype, 1) === 0) {
    throw unsupported(`values of dtype ${dtype} have no kernels`, { given: quoted(name) });
  }
}

function refuseEffects(program: ExportedProgram): void {
  const effects = program.outputs.filter(({ kind }) =>
    [
      "userInputMutation",
      "parameterMutation",
      "lossOutput",
      "gradientToParameter",
      "gradientToUserInput",
      "token",
    ].includes(kind),
  );
  if (effects.length === 0) return;
  throw unsupported("the program changes more than its outputs", {
    given: effects.map((spec) => `${spec.kind}${"target" in spec ? ` of ${spec.target}` : ""}`).join(", "),
    expected: "an export for inference: model.eval(), no writes to inputs or parameters",
  });
}

function refusal(program: ExportedProgram, ops: readonly UnsupportedOp[]): Error {
  const width = Math.max(...ops.map(({ op }) => op.length));
  const lines = ops.map(({ op, reason, count, modules }) => {
    const paths = [...modules].filter((path) => path !== "");
    const where = paths.slice(0, 4).join(", ") + (paths.length > 4 ? ", …" : "");
    const why = reason === "no handler" ? "" : `${reason}  `;
    return `  ${op.padEnd(width)}  ${count}×  ${why}${where}`.trimEnd();
  });
  const [first] = ops;
  return unsupported(
    `${ops.length} operator${ops.length === 1 ? " is" : "s are"} not supported\n${lines.join("\n")}\n`,
    {
      given: `a program of torch ${program.torchVersion}`,
      do: `registerOp(${JSON.stringify(first!.op)}, (c, args) => …), or export without ${ops.length === 1 ? "it" : "them"}`,
      details: {
        ops: ops.map(({ op, reason, count, modules }) => ({ op, reason, count, modules: [...modules] })),
      },
    },
  );
}
