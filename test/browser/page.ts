/** What runs in the browser: the steps of a plan through onnxruntime-web, state handed from run to run, results sent back. */
import * as ort from "onnxruntime-web";

/** A tensor as JSON: int64 as texts. */
export interface Sent {
  readonly dtype: "float32" | "int64" | "uint32";
  readonly shape: readonly number[];
  readonly values: readonly (number | string)[];
}

export interface Plan {
  readonly state: Readonly<Record<string, Sent>>;
  /** Feeds beside the state, a record a step. */
  readonly steps: readonly Readonly<Record<string, Sent>>[];
  /** The output that holds each state's next value. */
  readonly next: Readonly<Record<string, string>>;
  readonly loss: string;
}

export interface Found {
  readonly losses: readonly number[];
  readonly state: Readonly<Record<string, readonly number[]>>;
  readonly agent: string;
}

function received({ dtype, shape, values }: Sent): ort.Tensor {
  if (dtype === "int64") return new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [...shape]);
  if (dtype === "uint32") return new ort.Tensor("uint32", Uint32Array.from(values, Number), [...shape]);
  return new ort.Tensor("float32", Float32Array.from(values, Number), [...shape]);
}

const tensors = (record: Readonly<Record<string, Sent>>): Record<string, ort.Tensor> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, received(value)]));

async function trained(): Promise<Found> {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = "/ort/";
  const plan = (await (await fetch("/plan.json")).json()) as Plan;
  const session = await ort.InferenceSession.create(
    new Uint8Array(await (await fetch("/model.onnx")).arrayBuffer()),
  );
  let state = tensors(plan.state);
  const losses: number[] = [];
  for (const step of plan.steps) {
    const outputs = await session.run({ ...tensors(step), ...state });
    losses.push(Number(outputs[plan.loss]!.data[0]));
    state = Object.fromEntries(Object.entries(plan.next).map(([name, output]) => [name, outputs[output]!]));
  }
  const values = Object.entries(state).map(
    ([name, { data }]) => [name, Array.from(data as Float32Array)] as const,
  );
  return {
    losses,
    state: Object.fromEntries(values),
    agent: String((globalThis as { navigator?: { userAgent?: string } }).navigator?.userAgent),
  };
}

const body = await trained().then(JSON.stringify, (error: unknown) =>
  JSON.stringify({ error: String(error) }),
);
await fetch("/found", { method: "POST", body });
