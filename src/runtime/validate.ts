/** Everything about a request that can be wrong before ONNX Runtime sees it; failing runs leak and may crash there. */
import { suggest, TenonError } from "../base/index.js";
import { Tensor } from "../tensor/core.js";
import type { Signature, SignatureDim, ValueSignature } from "./signature.js";

export type Inputs = Readonly<Record<string, Tensor>>;

export interface ValidateOptions {
  /** Accept dimensions of size 0, which some operators do not survive. Default false. */
  readonly allowZero: boolean;
}

/** `[-1, 16]`: declared dims as protocols print them. */
function printDims(dims: readonly SignatureDim[]): string {
  return `[${dims.map((dim) => dim ?? "?").join(", ")}]`;
}

/**
 * The inputs in the signature's order. Throws INPUT_MISSING, INPUT_UNKNOWN, INPUT_DTYPE or INPUT_SHAPE, with
 * `details`: model, input, and given/expected as data (`missing`: names; `shape`, `dims`; `dtype`, `expectedDtype`).
 */
export function orderInputs(
  model: string,
  signature: Signature,
  inputs: Inputs,
  options: ValidateOptions,
): Tensor[] {
  const ordered = new Array<Tensor>(signature.inputs.length);
  let given = 0;
  for (const name in inputs) {
    given++;
    if (signature.inputs.length === 1 && signature.inputs[0]!.name === name) continue;
    if (!signature.inputs.some((spec) => spec.name === name)) throw unknownInput(model, signature, name);
  }
  if (given < signature.inputs.length) throw missingInputs(model, signature, inputs, given);
  for (let i = 0; i < ordered.length; i++) {
    const spec = signature.inputs[i]!;
    const tensor = inputs[spec.name]!;
    checkInput(model, spec, tensor, options);
    ordered[i] = tensor;
  }
  return ordered;
}

function checkInput(model: string, spec: ValueSignature, tensor: Tensor, options: ValidateOptions): void {
  if (!(tensor instanceof Tensor)) {
    throw new TenonError("INPUT_DTYPE", {
      problem: `input "${spec.name}" is no Tensor`,
      given: tensor === null ? "null" : typeof tensor,
      expected: `a Tensor of ${spec.dtype}`,
      do: `make one with tensor(values, { dtype: "${spec.dtype}" })`,
      details: { model, input: spec.name, expectedDtype: spec.dtype },
    });
  }
  if (tensor.dtype !== spec.dtype) {
    throw new TenonError("INPUT_DTYPE", {
      problem: `input "${spec.name}" has another dtype than the model's`,
      given: tensor.dtype,
      expected: spec.dtype,
      do: `cast it explicitly: cast(x, "${spec.dtype}")`,
      details: { model, input: spec.name, dtype: tensor.dtype, expectedDtype: spec.dtype },
    });
  }
  const { dims } = spec;
  const { shape } = tensor;
  let fits = dims === undefined || dims.length === shape.length;
  for (let axis = 0; fits && axis < shape.length; axis++) {
    const declared = dims?.[axis];
    if (typeof declared === "number" ? declared !== shape[axis] : shape[axis] === 0 && !options.allowZero)
      fits = false;
  }
  if (fits) return;
  const empty = shape.includes(0) && dims?.length === shape.length;
  throw new TenonError("INPUT_SHAPE", {
    problem: `input "${spec.name}" has a shape that the model does not take`,
    given: `[${shape.join(", ")}]`,
    expected:
      dims === undefined
        ? "dimensions of at least 1"
        : `${printDims(dims)}${empty ? ", each at least 1" : ""}`,
    ...(empty ? { do: "load the model with { allowZero: true } if it is made for empty tensors" } : {}),
    details: { model, input: spec.name, shape, dims: dims ?? null },
  });
}

function unknownInput(model: string, signature: Signature, name: string): TenonError {
  const names = signature.inputs.map((spec) => spec.name);
  return new TenonError("INPUT_UNKNOWN", {
    problem: `model "${model}" has no input "${name.slice(0, 128)}"`,
    expected: suggest(name, names),
    details: { model, input: name, inputs: names },
  });
}

function missingInputs(model: string, signature: Signature, inputs: Inputs, given: number): TenonError {
  const names = signature.inputs.map((spec) => spec.name);
  const missing = names.filter((name) => !Object.hasOwn(inputs, name));
  return new TenonError("INPUT_MISSING", {
    problem: `model "${model}" needs ${missing.map((name) => `"${name}"`).join(", ")}`,
    given: given === 0 ? "no inputs" : Object.keys(inputs).join(", "),
    expected: names.join(", "),
    details: { model, missing, given: Object.keys(inputs), inputs: names },
  });
}

/** Indices of the wanted outputs in the signature, in the signature's order; duplicates count once. Throws OUTPUT_UNKNOWN. */
export function orderOutputs(model: string, signature: Signature, wanted: readonly string[]): number[] {
  const names = signature.outputs.map((spec) => spec.name);
  const indices = new Set<number>();
  for (const name of wanted) {
    const index = names.indexOf(name);
    if (index < 0) {
      throw new TenonError("OUTPUT_UNKNOWN", {
        problem: `model "${model}" has no output "${String(name).slice(0, 128)}"`,
        expected: suggest(String(name), names),
        details: { model, output: name, outputs: names },
      });
    }
    indices.add(index);
  }
  return [...indices].sort((a, b) => a - b);
}
