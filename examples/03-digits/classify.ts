/** Asks a server for the digit in a picture. */
import type { Tensor } from "tenon/tensor";

/** Scores of the ten digits, from the model `digits` of the server at `url`. */
export async function classify(url: string, image: Tensor): Promise<readonly number[]> {
  const input = {
    name: "image",
    datatype: "FP32",
    shape: image.shape,
    data: [...(image.data as Float32Array)],
  };
  const response = await fetch(`${url}/v2/models/digits/infer`, {
    method: "POST",
    body: JSON.stringify({ inputs: [input] }),
  });
  const answer = (await response.json()) as {
    outputs?: readonly { data: readonly number[] }[];
    error?: string;
  };
  if (answer.outputs === undefined) throw new Error(answer.error ?? `the server answered ${response.status}`);
  return answer.outputs[0]!.data;
}

/** The digit of the highest score. */
export function best(scores: readonly number[]): number {
  return scores.indexOf(Math.max(...scores));
}
