/** LoadedReply: what a model process tells of a model that it has loaded, with every field checked. */
import type { Finding } from "../../onnx/index.js";
import type { Signature } from "../signature.js";
import { findingsFromJson } from "./finding-wire.js";
import { signatureFromJson } from "./signature-wire.js";

export interface LoadedReply {
  readonly signature: Signature;
  readonly cacheHit: boolean;
  readonly milliseconds: number;
  readonly findings: readonly Finding[];
}

/** Throws TypeError for what no honest process tells. */
export function readLoadedReply({
  signature,
  cacheHit,
  milliseconds,
  findings,
}: Readonly<Record<string, unknown>>): LoadedReply {
  return {
    signature: signatureFromJson(signature),
    cacheHit: cacheHit === true,
    milliseconds: typeof milliseconds === "number" ? milliseconds : 0,
    findings: findingsFromJson(findings),
  };
}
