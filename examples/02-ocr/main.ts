/** Reads the text of an image and prints it row by row. Usage: node build/examples/02-ocr/main.js [IMAGE] */
import { resolve } from "node:path";
import { Engine } from "tenon";
import { openReader, readImage } from "./reader.js";

const file = process.argv[2] ?? resolve(import.meta.dirname, "../../../examples/02-ocr/page.png");
await using engine = await Engine.open();
const reader = await openReader(engine);
const started = performance.now();
const rows = await readImage(reader, file);
const seconds = (performance.now() - started) / 1000;
for (const row of rows) {
  const confidence = Math.min(...row.map((line) => line.confidence));
  console.log(`${confidence.toFixed(2)}  ${row.map((line) => line.text).join("   ")}`);
}
console.error(`${rows.flat().length} lines in ${seconds.toFixed(1)} s`);
