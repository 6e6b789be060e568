/** Raw requests (`Inference-Header-Content-Length: 0`): the body is the data of the model's only input, batch 1. */
import { TenonError } from "../../base/index.js";
import { byteLengthOf, StringStorage, type Tensor, tensorFromStorage } from "../../tensor/index.js";
import type { ServedModel } from "../served-model.js";
import { numericTensor, sizeMismatch } from "./binary.js";

/** The tensor that the body is. Throws REQUEST_INVALID for models that raw requests cannot address, INPUT_SIZE. */
export function rawInput(model: ServedModel, body: Buffer): Tensor {
  const [input] = model.signature.inputs;
  const count = model.signature.inputs.length;
  if (input === undefined || count !== 1) {
    throw new TenonError("REQUEST_INVALID", {
      problem: `Raw request must only have 1 input (found 1) to be deduced but got ${count} inputs in '${model.name}' model configuration`,
      details: { named: true },
    });
  }
  const { name, dtype, dims } = input;
  if (dims === undefined) throw undeducible(name);
  const batched = model.maxBatch > 0;
  const own = (batched ? dims.slice(1) : dims).map((dim) => (typeof dim === "number" ? dim : -1));
  const variable = own.filter((dim) => dim === -1).length;
  const shape = batched ? [1, ...own] : own;
  if (dtype === "string") {
    if (own.length !== 1 || (own[0] !== 1 && own[0] !== -1)) {
      throw new TenonError("REQUEST_INVALID", {
        problem: `For BYTE datatype raw input '${name}', the model must have input shape [1]`,
        details: { named: true },
      });
    }
    const offsets = Uint32Array.of(0, body.length);
    return tensorFromStorage(
      "string",
      shape.map((dim) => Math.abs(dim)),
      StringStorage.fromBytes(body, offsets),
    );
  }
  if (variable > 1) throw undeducible(name);
  const fixed = own.reduce((size, dim) => (dim === -1 ? size : size * dim), 1);
  const step = byteLengthOf(dtype, fixed);
  if (variable === 0 ? body.length !== step : step === 0 || body.length % step !== 0) {
    throw sizeMismatch("raw_input", model.name, step, body.length);
  }
  const full = shape.map((dim) => (dim === -1 ? body.length / step : dim));
  return numericTensor(dtype, full, body);
}

function undeducible(input: string): TenonError {
  return new TenonError("REQUEST_INVALID", {
    problem: `The shape of the raw input '${input}' can not be deduced because there are more than one variable-sized dimension`,
    details: { named: true },
  });
}
