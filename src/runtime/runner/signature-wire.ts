/** Signatures on their way from a model process: JSON whose every field is checked. */
import { isDType } from "../../tensor/core.js";
import type { Signature, SignatureDim, ValueSignature } from "../signature.js";

export function signatureToJson(signature: Signature): unknown {
  const value = ({ name, dtype, dims, labels }: ValueSignature): unknown => ({
    name,
    dtype,
    dims: dims ?? null,
    labels: labels?.map((label) => (typeof label === "string" ? label : { int64: String(label) })) ?? null,
  });
  return { inputs: signature.inputs.map(value), outputs: signature.outputs.map(value) };
}

/** Throws TypeError for anything that `signatureToJson` does not write. */
export function signatureFromJson(json: unknown): Signature {
  const { inputs, outputs } = record(json);
  return { inputs: list(inputs).map(valueFrom), outputs: list(outputs).map(valueFrom) };
}

function valueFrom(json: unknown): ValueSignature {
  const { name, dtype, dims, labels } = record(json);
  if (typeof name !== "string" || typeof dtype !== "string" || !isDType(dtype)) throw malformed();
  const value = { name, dtype, dims: dims === null ? undefined : list(dims).map(dimFrom) };
  return labels === null ? value : { ...value, labels: list(labels).map(labelFrom) };
}

function dimFrom(dim: unknown): SignatureDim {
  if (dim === null || typeof dim === "string") return dim;
  if (typeof dim === "number" && Number.isSafeInteger(dim) && dim >= 0) return dim;
  throw malformed();
}

function labelFrom(label: unknown): string | bigint {
  if (typeof label === "string") return label;
  const { int64 } = record(label);
  if (typeof int64 !== "string" || !/^-?[0-9]{1,19}$/.test(int64)) throw malformed();
  return BigInt(int64);
}

function record(json: unknown): Readonly<Record<string, unknown>> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw malformed();
  return json as Record<string, unknown>;
}

function list(json: unknown): readonly unknown[] {
  if (!Array.isArray(json)) throw malformed();
  return json;
}

function malformed(): TypeError {
  return new TypeError("malformed signature");
}
