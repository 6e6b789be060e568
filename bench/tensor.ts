/**
 * Tensor loops against one-thread numpy: CPU time of both, measured in turn, and the ratio.
 * Usage: TENON_PYTHON=… node build/bench/tensor.js [--rounds R] [name part …]
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import {
  add,
  arange,
  argmax,
  div,
  exp,
  matmul,
  max,
  mul,
  softmax,
  sum,
  type Tensor,
  zeros,
} from "tenon/tensor";
import { machineLine } from "./harness/machine.js";
import { median } from "./harness/statistics.js";

const N = 1_000_000;

/** Numbers from 0 to 1 in an order without pattern. */
function scattered(size: number): Tensor<"float32"> {
  const x = arange(0, size);
  for (let i = 0; i < size; i++) x.data[i] = ((i * 7919) % size) / size;
  return x;
}

const a = scattered(N);
const b = scattered(N);
const out = zeros("float32", [N]);
const rows = a.reshape([1000, 1000]);
const rowsOut = out.reshape([1000, 1000]);
const m = div(scattered(65536), 2).reshape([256, 256]);
const mOut = zeros("float32", [256, 256]);

/** Names are those of the script that numpy runs. */
const OPERATIONS: Readonly<Record<string, () => unknown>> = {
  add: () => add(a, b, { into: out }),
  mul: () => mul(a, b, { into: out }),
  sum: () => sum(a),
  max: () => max(a),
  argmax: () => argmax(a),
  exp: () => exp(a, { into: out }),
  softmax: () => softmax(rows, { into: rowsOut }),
  sumAxis0: () => sum(rows, { axis: 0 }),
  transpose: () => rows.transpose().clone(),
  matmul: () => matmul(m, m, { into: mOut }),
};

/** Calls in one measurement. */
const REPEATS = 10;

function measureOurs(operation: () => unknown): number {
  const start = process.cpuUsage();
  for (let i = 0; i < REPEATS; i++) operation();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000 / REPEATS;
}

interface Numpy {
  readonly version: string;
  readonly child: ChildProcess;
  readonly measure: (name: string) => Promise<number>;
}

/** numpy in a process of its own, on one thread, with the BLAS kernels that it chooses itself. */
async function startNumpy(): Promise<Numpy> {
  const python = process.env.TENON_PYTHON;
  if (!python)
    throw new Error(
      "TENON_PYTHON names no Python with numpy; npm run test:python makes one in ~/.cache/tenon/python",
    );
  const { OPENBLAS_CORETYPE: _, OPENBLAS_L2_SIZE: __, ...environment } = process.env;
  const child = spawn(python, [join(import.meta.dirname, "../../bench/peers/tensor_numpy.py")], {
    env: { ...environment, OPENBLAS_NUM_THREADS: "1", OMP_NUM_THREADS: "1" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error("numpy's process ended");
    return value;
  };
  const measure = async (name: string): Promise<number> => {
    child.stdin.write(`${name} ${REPEATS}\n`);
    return Number(await next());
  };
  return { version: await next(), child, measure };
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: "string", default: "15" } },
});
const names = Object.keys(OPERATIONS).filter(
  (name) => positionals.length === 0 || positionals.some((part) => name.includes(part)),
);

const numpy = await startNumpy();
console.log(`${machineLine()}, numpy ${numpy.version}`);
console.log("operation    tenon ms   numpy ms   tenon / numpy");
for (const name of names) {
  const operation = OPERATIONS[name]!;
  measureOurs(operation);
  await numpy.measure(name);
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    ours.push(measureOurs(operation));
    theirs.push(await numpy.measure(name));
  }
  const [mine, other] = [median(ours), median(theirs)];
  console.log(
    `${name.padEnd(10)} ${mine.toFixed(3).padStart(10)} ${other.toFixed(3).padStart(10)} ${(mine / other).toFixed(2).padStart(15)}`,
  );
}
numpy.child.stdin?.end();
await once(numpy.child, "exit");
