/** The curl line that a started server prints: one that works when it is pasted. */
import type { Model } from "../runtime/index.js";
import { dtypeInfo, sizeOf, type Tensor } from "../tensor/index.js";
import { sampleInputs } from "./sample-inputs.js";
import { jsonValues } from "./tensor-text.js";
import { toJson } from "./terminal.js";

type Described = Pick<Model, "name" | "signature" | "maxBatch">;

/** Elements that still fit a line. */
const LINE_ELEMENTS = 64;

/**
 * A small inference for the first model whose signature tells every size but the batch; else the metadata of the first
 * model, which always answers. Quotes are safe: names of models hold none, and those in JSON are escaped for the shell.
 */
export function exampleCall(url: string, models: readonly Described[]): string {
  for (const model of models) {
    const body = exampleBody(model);
    if (body !== undefined) {
      return `curl -s ${url}/v2/models/${model.name}/infer -d '${body.replaceAll("'", "'\\''")}'`;
    }
  }
  return `curl -s ${url}/v2/models/${models[0]!.name}`;
}

function exampleBody({ signature, maxBatch }: Described): string | undefined {
  const open = signature.inputs.some(
    ({ dims, dtype }) =>
      dims === undefined ||
      dtypeInfo(dtype).oip === null ||
      dims.some((dim, axis) => typeof dim !== "number" && !(axis === 0 && maxBatch > 0)),
  );
  if (open) return undefined;
  const inputs: Record<string, Tensor> = sampleInputs(signature, {
    rows: 1,
    batched: maxBatch > 0,
    dims: {},
  });
  const elements = Object.values(inputs).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  if (elements > LINE_ELEMENTS) return undefined;
  const list = Object.entries(inputs).map(([name, tensor]) => ({
    name,
    datatype: dtypeInfo(tensor.dtype).oip,
    shape: tensor.shape,
    data: jsonValues(tensor),
  }));
  return toJson({ inputs: list });
}
