/**
 * Exported programs of PyTorch: size, time to the first answer, memory, and speed against torch.onnx's own export of
 * the same models in the same runtime.
 * Usage: TENON_PYTHON=… node build/bench/torch.js [--rounds R] [--folder FOLDER]
 * The Python needs torch, transformers and onnxscript (`pip install torch transformers onnxscript`).
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { formatBytes } from "tenon/base";
import { writeBeside } from "tenon/onnx";
import { Engine, type Model } from "tenon/runtime";
import { ones, type Tensor } from "tenon/tensor";
import { convertProgram } from "tenon/torch";
import { machineLine } from "./harness/machine.js";
import { median } from "./harness/statistics.js";

const MODELS: Readonly<Record<string, () => Tensor[]>> = {
  resnet50: () => [ones("float32", [1, 3, 224, 224])],
  bert: () => [ones("int64", [1, 128]), ones("int64", [1, 128])],
};

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "15" },
    folder: { type: "string" },
    once: { type: "string" },
    quick: { type: "boolean", default: false },
  },
});

async function answer(model: Model, inputs: readonly Tensor[]): Promise<void> {
  const named = model.signature.inputs.map(({ name }, i) => [name, inputs[i]!] as const);
  (await model.run(Object.fromEntries(named)))[Symbol.dispose]();
}

interface Once {
  readonly milliseconds: number;
  readonly residentBytes: number;
}

/** In a fresh process without a cache: from the archive to the first answer. */
async function once(path: string, name: string, quickStart: boolean): Promise<Once> {
  const inputs = MODELS[name]!();
  const start = performance.now();
  // ONNX Runtime is loaded on another thread meanwhile.
  const [engine, program] = await Promise.all([Engine.open({ cache: false }), convertProgram(path)]);
  const model = await engine.load(program, { quickStart, calibrate: false });
  await answer(model, inputs);
  const milliseconds = performance.now() - start;
  const { rss } = process.memoryUsage();
  await engine.close();
  return { milliseconds, residentBytes: rss };
}

function inFreshProcess(path: string, quick: boolean): Once {
  const args = [process.argv[1]!, "--once", path, ...(quick ? ["--quick"] : [])];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" })) as Once;
}

/** Median CPU milliseconds of a run, of two models in turn. */
async function compared(ours: Model, theirs: Model, inputs: readonly Tensor[], rounds: number) {
  const times = { ours: [] as number[], theirs: [] as number[] };
  const measure = async (model: Model): Promise<number> => {
    const start = process.cpuUsage();
    await answer(model, inputs);
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1000;
  };
  for (const model of [ours, theirs]) await measure(model);
  for (let round = 0; round < rounds; round++) {
    times.ours.push(await measure(ours));
    times.theirs.push(await measure(theirs));
  }
  return { ours: median(times.ours), theirs: median(times.theirs) };
}

async function report(folder: string, rounds: number): Promise<void> {
  console.log(machineLine());
  for (const [name, makeInputs] of Object.entries(MODELS)) {
    const path = join(folder, `${name}.pt2`);
    const bytes = statSync(path).size;
    const model = await convertProgram(path);
    console.log(`${name}: ${formatBytes(bytes)}, ONNX ${formatBytes(writeBeside(model).bytes.length)}`);
    for (const quick of [true, false]) {
      const runs = Array.from({ length: 5 }, () => inFreshProcess(path, quick));
      const resident = median(runs.map(({ residentBytes }) => residentBytes));
      console.log(
        `  first answer, ${quick ? "quick start" : "compiled first"}: ${median(runs.map(({ milliseconds }) => milliseconds)).toFixed(0)} ms, ` +
          `resident ${formatBytes(resident)} (${(resident / bytes).toFixed(2)}x of the file)`,
      );
    }
    const other = join(folder, `${name}.torch.onnx`);
    if (!existsSync(other)) continue;
    await using engine = await Engine.open({ cache: join(folder, "cache"), lanes: 1 });
    const options = { calibrate: false, batch: { max: 1 } } as const;
    const ours = await engine.load(model, { ...options, name: "ours" });
    const theirs = await engine.load(other, { ...options, name: "theirs" });
    const times = await compared(ours, theirs, makeInputs(), rounds);
    console.log(
      `  CPU of a run: ${times.ours.toFixed(1)} ms, of torch.onnx's export ${times.theirs.toFixed(1)} ms: ${(times.ours / times.theirs).toFixed(2)}x`,
    );
  }
}

async function main(): Promise<void> {
  if (values.once !== undefined) {
    const name = /(\w+)\.pt2$/.exec(values.once)![1]!;
    console.log(JSON.stringify(await once(values.once, name, values.quick)));
    return;
  }
  const folder = values.folder ?? mkdtempSync(join(tmpdir(), "tenon-bench-torch-"));
  mkdirSync(folder, { recursive: true });
  try {
    if (!existsSync(join(folder, "bert.torch.onnx"))) {
      const python = process.env.TENON_PYTHON;
      if (!python) throw new Error("TENON_PYTHON names no Python with torch, transformers and onnxscript");
      const script = join(import.meta.dirname, "../../bench/peers/torch_models.py");
      execFileSync(python, [script, folder], { stdio: ["ignore", "ignore", "inherit"] });
    }
    await report(folder, Number(values.rounds));
  } finally {
    if (values.folder === undefined) rmSync(folder, { recursive: true });
  }
}

await main();
