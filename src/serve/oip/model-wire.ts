/** What the protocol says about one model, made once: metadata and the fixed pieces of its answers. */
import { TenonError } from "../../base/index.js";
import type { ValueSignature } from "../../runtime/index.js";
import { type DType, dtypeInfo } from "../../tensor/index.js";
import { platformOf } from "../config/served-config.js";
import type { ServedModel } from "../served-model.js";
import type { SharedPlace } from "../shared-memory.js";

/** One output, as answers begin it. */
export interface OutputWire {
  readonly name: string;
  readonly dtype: DType;
  /** False for dtypes that travel in binary form only. */
  readonly hasJson: boolean;
  readonly datatype: string;
  /** `{"name":"Y","datatype":"FP32","shape":[`. */
  readonly head: string;
}

/** An output that a request asks for. */
export interface WantedOutput {
  readonly wire: OutputWire;
  readonly binary: boolean;
  /** Answered as strings, whatever the dtype. */
  readonly classified?: boolean;
  /** Where to put it, instead of sending it. */
  readonly shared?: SharedPlace | undefined;
}

/** The fixed pieces of one model. */
export interface ModelWire {
  readonly outputs: readonly OutputWire[];
  /** All outputs, as JSON and in binary form. */
  readonly allJson: readonly WantedOutput[];
  readonly allBinary: readonly WantedOutput[];
  readonly byName: ReadonlyMap<string, OutputWire>;
  /** `"model_name":"m","model_version":"1"`. */
  readonly identity: string;
  /** Milliseconds from request to outputs, waiting included: a moving average, infinite before the first. */
  averageMs: number;
}

const wires = new WeakMap<ServedModel, ModelWire>();

/** The pieces of a model. Throws MODEL_UNSUPPORTED for a model with values that the protocol cannot carry. */
export function wireOf(model: ServedModel): ModelWire {
  let wire = wires.get(model);
  if (wire === undefined) {
    wire = makeWire(model);
    wires.set(model, wire);
  }
  return wire;
}

function makeWire({ name, version, signature }: ServedModel): ModelWire {
  signature.inputs.forEach(datatypeOf);
  return answerWire({ name, version, outputs: signature.outputs });
}

/** The pieces of answers alone. Throws as `wireOf`. */
export function answerWire(face: {
  readonly name: string;
  readonly version: string;
  readonly outputs: readonly Pick<ValueSignature, "name" | "dtype">[];
}): ModelWire {
  const outputs = face.outputs.map((value): OutputWire => {
    const datatype = datatypeOf(value);
    const { kind, bits } = dtypeInfo(value.dtype);
    const hasJson = kind !== "float" || bits >= 32;
    return { name: value.name, dtype: value.dtype, datatype, hasJson, head: headOf(value.name, datatype) };
  });
  return {
    outputs,
    allJson: outputs.map((output) => ({ wire: output, binary: false })),
    allBinary: outputs.map((output) => ({ wire: output, binary: true })),
    byName: new Map(outputs.map((output) => [output.name, output])),
    identity: `"model_name":${JSON.stringify(face.name)},"model_version":"${face.version}"`,
    averageMs: Number.POSITIVE_INFINITY,
  };
}

function headOf(name: string, datatype: string): string {
  return `{"name":${JSON.stringify(name)},"datatype":"${datatype}","shape":[`;
}

/** An output whose classes are answered in its place. */
export function classifiedWire({ name }: OutputWire): OutputWire {
  return { name, dtype: "string", datatype: "BYTES", hasJson: true, head: headOf(name, "BYTES") };
}

function datatypeOf(value: Pick<ValueSignature, "name" | "dtype">): string {
  const { oip } = dtypeInfo(value.dtype);
  if (oip !== null) return oip;
  throw new TenonError("MODEL_UNSUPPORTED", {
    problem: `"${value.name}" is of ${value.dtype}, which the protocol cannot carry`,
    details: { value: value.name },
  });
}

interface TensorMetadata {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

/** The answer of the model metadata call. */
export function modelMetadataOf(
  all: readonly ServedModel[],
  model: ServedModel,
): {
  readonly name: string;
  readonly versions: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
} {
  const versions = all.flatMap(({ name, version }) => (name === model.name ? [version] : []));
  const describe = (value: ValueSignature): TensorMetadata => ({
    name: value.name,
    datatype: datatypeOf(value),
    shape: (value.dims ?? [-1]).map((dim) => (typeof dim === "number" ? dim : -1)),
  });
  return {
    name: model.name,
    versions: versions.toSorted((a, b) => Number(a) - Number(b)),
    platform: platformOf(model),
    inputs: model.signature.inputs.map(describe),
    outputs: model.signature.outputs.map(describe),
  };
}
