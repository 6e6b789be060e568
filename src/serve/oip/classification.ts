/** The classification extension: an output's best values with their places, as strings `value:index[:label]`. */
import { TenonError } from "../../base/index.js";
import type { Outputs, ValueSignature } from "../../runtime/index.js";
import {
  dtypeInfo,
  readElement,
  StringStorage,
  sizeOf,
  type Tensor,
  tensorFromStorage,
} from "../../tensor/index.js";

/** The best `count` values of each row of `tensor` (of the whole tensor when `batched` is false), best first. */
export function classified(
  tensor: Tensor,
  count: number,
  batched: boolean,
  labels: ValueSignature["labels"],
): Tensor {
  const { dtype, shape } = tensor;
  const { kind } = dtypeInfo(dtype);
  if (dtype === "string" || kind === "bool") {
    throw new TenonError("REQUEST_INVALID", { problem: `outputs of ${dtype} have no classification` });
  }
  const dense = tensor.contiguous();
  const rows = batched ? (shape[0] ?? 1) : 1;
  const columns = rows === 0 ? 0 : sizeOf(shape) / rows;
  const best = Math.min(count, columns);
  const texts: string[] = [];
  for (let row = 0; row < rows; row++) {
    const values = Array.from({ length: columns }, (_, i) => ({
      index: i,
      value: readElement(dtype, dense.storage, dense.offset + row * columns + i) as number | bigint, // numeric dtypes only
    }));
    // Equal values keep their order; NaN comes last.
    values.sort((a, b) =>
      a.value === b.value ? a.index - b.index : a.value > b.value || Number.isNaN(b.value) ? -1 : 1,
    );
    for (const { index, value } of values.slice(0, best)) {
      const label = labels?.[index];
      const text = kind === "float" ? Number(value).toFixed(6) : String(value);
      texts.push(label === undefined ? `${text}:${index}` : `${text}:${index}:${label}`);
    }
  }
  return tensorFromStorage("string", batched ? [rows, best] : [best], StringStorage.fromStrings(texts));
}

/** The outputs with some of them replaced; disposing of them disposes of the originals. */
export function withReplaced(outputs: Outputs, replaced: ReadonlyMap<string, Tensor>): Outputs {
  // Without a prototype: outputs may be called anything.
  const record: Record<string, Tensor> = Object.create(null);
  for (const name of Object.keys(outputs)) record[name] = replaced.get(name) ?? outputs[name]!;
  return Object.defineProperty(record, Symbol.dispose, {
    value: () => outputs[Symbol.dispose](),
  }) as unknown as Outputs; // now disposable
}
