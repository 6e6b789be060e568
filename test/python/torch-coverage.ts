/**
 * Which exports of torchvision, timm and transformers convert and match: `node build/test/python/torch-coverage.js FOLDER`
 * on what `torch_coverage.py FOLDER` wrote. Prints a table in Markdown.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Engine } from "tenon/runtime";
import { readNpy, type Tensor } from "tenon/tensor";
import { convertProgram } from "tenon/torch";

const LIMIT = 2e-4;

function load(path: string, kind: string): Tensor[] {
  const tensors: Tensor[] = [];
  for (let k = 0; existsSync(`${path}.${kind}${k}.npy`); k++)
    tensors.push(readNpy(readFileSync(`${path}.${kind}${k}.npy`)));
  return tensors;
}

/** max |a − b| / max |b|. */
function apart(actual: Tensor, expected: Tensor): number {
  if (String(actual.shape) !== String(expected.shape)) return Number.POSITIVE_INFINITY;
  const [a, b] = [actual, expected].map((x) => x.contiguous().data as ArrayLike<number | bigint>);
  let [most, largest] = [0, 1e-12];
  for (let i = 0; i < a!.length; i++) {
    const gap = Math.abs(Number(a![i]) - Number(b![i]));
    most = Math.max(most, Number.isNaN(gap) ? Number.POSITIVE_INFINITY : gap);
    largest = Math.max(largest, Math.abs(Number(b![i])));
  }
  return most / largest;
}

async function outcome(path: string): Promise<string> {
  const { error } = JSON.parse(readFileSync(`${path}.json`, "utf8")) as { error?: string };
  if (error !== undefined) return `not exported: ${error.slice(0, 80)}`;
  let model: Awaited<ReturnType<typeof convertProgram>>;
  try {
    model = await convertProgram(`${path}.pt2`);
  } catch (refusal) {
    const [first, ...ops] = String(refusal).split("\n");
    const named = ops.filter((line) => line.startsWith("  ")).map((line) => line.trim());
    return `refused: ${named.length > 0 ? named.join("; ") : first}`;
  }
  await using engine = await Engine.open({ cache: false });
  const loaded = await engine.load(model, { name: "m", calibrate: false });
  const { inputs: declared, outputs } = loaded.signature;
  let worst = 0;
  for (const base of [path, `${path}.case2`]) {
    const inputs = load(base, "in");
    // Exports of before have one case.
    if (inputs.length === 0) continue;
    const result = await loaded.run(Object.fromEntries(declared.map((value, i) => [value.name, inputs[i]!])));
    const expected = load(base, "out");
    worst = Math.max(worst, ...outputs.map((value, k) => apart(result[value.name]!, expected[k]!)));
  }
  const free = declared.map(({ dims }) => `[${dims?.join(", ")}]`).join(" ");
  return worst < LIMIT ? `equal (${worst.toExponential(0)}) | ${free}` : `WRONG (${worst}) | ${free}`;
}

const folder = process.argv[2] ?? ".";
const names = readdirSync(folder).filter((file) => file.endsWith(".json"));
const counts = { equal: 0, refused: 0, other: 0 };
for (const file of names.sort()) {
  const name = file.replace(/\.json$/, "");
  const told = await outcome(join(folder, name)).catch((error: unknown) => `failed: ${error}`.slice(0, 120));
  const kind = told.startsWith("equal") ? "equal" : told.startsWith("refused") ? "refused" : "other";
  counts[kind]++;
  console.log(`| ${name.replace("__", "/")} | ${told.replaceAll("|", "\\|")} |`);
}
console.log(JSON.stringify(counts));
