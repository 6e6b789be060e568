/** What threads of a map call in the tests beside. */
import { threadId } from "node:worker_threads";
import { TenonError } from "tenon/base";
import { type Tensor, tensor } from "tenon/tensor";

interface Rows {
  readonly id: Tensor<"int32">;
  readonly text?: Tensor<"string">;
}

export interface Sums {
  readonly sums: Tensor<"float32">;
  readonly texts: readonly string[];
  readonly thread: number;
}

/** Twice each number, the texts in capitals, and where this was done. Late for batches that begin with an even number. */
export async function doubled({ id, text }: Rows): Promise<Sums> {
  if (id.data[0]! % 2 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const texts = text === undefined ? [] : (text.toArray() as string[]).map((one) => one.toUpperCase());
  return { sums: tensor(Float32Array.from(id.data, (one) => 2 * one)), texts, thread: threadId };
}

/** Refuses the batch that holds number 30. */
export function picky({ id }: Rows): number {
  if (id.data.includes(30)) throw new TenonError("TENSOR_VALUE", { problem: "30 is refused", given: "30" });
  if (id.data.includes(50)) throw new RangeError("50 is worse");
  return id.data.length;
}

/** Ends its thread. */
export function deadly(_: Rows): never {
  process.exit(3);
}
