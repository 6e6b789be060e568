/** readProgram: an exported program with its weights, unread, from any of its three containers. */
import { Archive, looksLikeZip } from "../archive.js";
import { checkpointRoot, isTorchScript, looksLikeLegacy } from "../checkpoint.js";
import { damaged, quoted, unsupported } from "../invalid.js";
import { EXPORT_RECIPE, refuseCompiled, refuseKnown } from "../refuse.js";
import { withRegion } from "../region.js";
import { looksLikeSafetensors } from "../safetensors.js";
import { type ContainedWeights, containedModel } from "./container.js";
import { decodeProgram } from "./decode.js";
import type { ExportedProgram } from "./program.js";

export interface ReadProgramOptions {
  /** Which model of an archive of several. */
  readonly model?: string;
  /** Compare every entry with its checksum, which reads the whole file. Default false. */
  readonly verify?: boolean;
}

const HEAD = 512;

/**
 * The program in a `.pt2` file or its bytes. Reads the graph and where the weights are, no weight. Throws FILE_NOT_FOUND;
 * FILE_INVALID for what is damaged or lies; MODEL_UNSUPPORTED for files without a graph (with the recipe to export one),
 * for other schema versions and for kinds of arguments that are not known.
 *
 * @example
 * const program = await readProgram("model.pt2");
 * for (const node of program.graph.nodes) console.log(node.target, node.module);
 */
export async function readProgram(
  input: string | Uint8Array,
  options: ReadProgramOptions = {},
): Promise<ExportedProgram> {
  return withRegion(input, (region) => {
    const head = region.bytes(0, Math.min(HEAD, region.size));
    if (!looksLikeZip(head)) {
      if (looksLikeLegacy(head) || looksLikeSafetensors(head)) throw weightsOnly();
      refuseKnown(head);
      throw unsupported("the file holds no exported program", { do: EXPORT_RECIPE });
    }
    const archive = new Archive(region);
    if (options.verify) archive.verify();
    const model = containedModel(archive, options.model);
    if (model === undefined) throw withoutProgram(archive);
    const program = decodeProgram(model.program(), model.name);
    const weights = model.weights();
    refuseUnbound(program, weights);
    return { ...program, weights: weights.tensors };
  });
}

function withoutProgram(archive: Archive): Error {
  refuseCompiled(archive);
  const root = checkpointRoot(archive);
  if (root === undefined) return damaged("the archive holds no exported program", { do: EXPORT_RECIPE });
  if (!isTorchScript(archive, root)) return weightsOnly();
  return unsupported("a TorchScript program has no shapes and dtypes, so it is not translated", {
    do: EXPORT_RECIPE,
  });
}

function weightsOnly(): Error {
  return unsupported("the file holds weights only, and no graph", { do: EXPORT_RECIPE });
}

/** Every parameter, buffer and constant that the signature names must be there. */
function refuseUnbound(program: Omit<ExportedProgram, "weights">, weights: ContainedWeights): void {
  for (const spec of program.inputs) {
    if (spec.kind !== "parameter" && spec.kind !== "buffer" && spec.kind !== "tensorConstant") continue;
    if (weights.tensors.has(spec.target)) continue;
    const reason = weights.unreadable.get(spec.target);
    if (reason !== undefined)
      throw unsupported(`${spec.kind} ${quoted(spec.target)} cannot be read`, { given: reason });
    throw damaged(`the archive lacks ${spec.kind} ${quoted(spec.target)}`);
  }
}
