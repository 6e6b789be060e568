/** Prints the detection model's answer as a picture: reads the response of the server from stdin. */
import { text } from "node:stream/consumers";

/** Probability from which a pixel counts as text. */
const THRESHOLD = 0.5;

interface Answer {
  readonly error?: string;
  readonly outputs?: readonly {
    name: string;
    datatype: string;
    shape: readonly number[];
    data: readonly number[];
  }[];
}

const { error, outputs }: Answer = JSON.parse(await text(process.stdin));
const [output] = outputs ?? [];
if (output === undefined) {
  console.error(error ?? "the answer holds no output");
  process.exitCode = 1;
} else {
  const [height, width] = output.shape.slice(-2) as [number, number];
  console.log(`outputs: ${output.name} ${output.datatype} [${output.shape.join(", ")}]`);
  // A character is about twice as high as wide.
  for (let row = 0; row < height; row += 2) {
    const pixels = output.data.slice(row * width, (row + 1) * width);
    console.log(pixels.map((probability) => (probability >= THRESHOLD ? "#" : ".")).join(""));
  }
}
