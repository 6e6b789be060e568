/** Runs a request on its model, whichever protocol it came by: turns between callers, deadline, priority, a successor. */
import { isTenonError, TenonError, toTenonError } from "../../base/index.js";
import type { Outputs } from "../../runtime/index.js";
import type { Tensor } from "../../tensor/index.js";
import { configOfFile, labelsOf } from "../config/served-config.js";
import { FairShare } from "../http/fair-share.js";
import type { Caller } from "../http/key-ring.js";
import type { Sender, Strikes } from "../http/strikes.js";
import { statisticsOf } from "../metrics/statistics.js";
import type { Traced, TracedRequest, Tracing } from "../observe/tracing.js";
import { observeRun } from "../rollout/rollout.js";
import { sequenceMark } from "../sequence/mark.js";
import type { Finder, ServedModel, ServedRunOptions } from "../served-model.js";
import { classified, withReplaced } from "./classification.js";
import { classifiedWire, type ModelWire, type WantedOutput, wireOf } from "./model-wire.js";
import type { InferRequest } from "./request.js";
import { countParameter } from "./request-parameters.js";

/** Who asks, and how long the answer is waited for. */
export interface Asking extends TracedRequest {
  readonly tracing: Tracing;
  /** Set to what traces the run. */
  traced: Traced | undefined;
  readonly caller: Caller | undefined;
  /** Who pays for a model's process that the request ends: the caller, else the address. */
  readonly sender: Sender;
  readonly strikes: Strikes;
  /** Aborted when nobody waits for the answer any more; made when it is first read. */
  readonly signal: AbortSignal;
  /** Longest time of one run in milliseconds, its queue included; a deadline of the transport makes it shorter. */
  readonly runDeadline: number;
  /** Milliseconds that the transport leaves. */
  readonly timeLeft?: number | undefined;
}

/** Throws RATE_LIMITED for who has ended this model's process too often; before anything else is read of a request. */
export function checkStrikes(asking: Pick<Asking, "sender" | "strikes">, model: ServedModel): void {
  asking.strikes.check(() => asking.sender, model.name, performance.now());
}

export type RunRequest = Pick<InferRequest, "parameters" | "outputs">;

export interface Ran {
  /** The model that ran. */
  readonly model: ServedModel;
  readonly wire: ModelWire;
  readonly wanted: readonly WantedOutput[];
  readonly outputs: Outputs;
}

/**
 * Runs the model that `find` gives; once more on its successor when it was replaced since. `allBinary`: outputs that do
 * not say how they travel are binary.
 */
export async function runRequest(
  asking: Asking,
  find: Finder,
  request: RunRequest,
  inputs: Readonly<Record<string, Tensor>>,
  allBinary: boolean,
): Promise<Ran> {
  for (let model = find(); ; ) {
    const wire = wireOf(model);
    const wanted = wantedOutputs(request, wire, allBinary);
    const statistics = statisticsOf(model);
    const startedAt = performance.now();
    const traced = asking.tracing.start(asking, model, inputs);
    if (traced !== undefined) asking.traced = traced;
    let outputs: Outputs;
    try {
      checkRows(model, inputs);
      outputs = await runFairly(asking, model, inputs, runOptions(asking, model, wire, request, wanted));
      const milliseconds = performance.now() - startedAt;
      learn(wire, milliseconds);
      statistics.succeeded(milliseconds);
      traced?.end(outputs);
    } catch (error) {
      if (isTenonError(error, "MODEL_CRASHED")) {
        asking.strikes.add(asking.sender, model.name, performance.now());
      }
      traced?.end(toTenonError(error));
      if (isTenonError(error)) statistics.failed(error.code, performance.now() - startedAt);
      if (!isTenonError(error, "ENGINE_CLOSED")) throw error;
      await find.wake?.();
      const successor = find();
      if (successor === model) throw error;
      model = successor;
      continue;
    }
    observeRun(model, inputs, outputs);
    try {
      return answered(request, { model, wire, wanted, outputs });
    } catch (error) {
      outputs[Symbol.dispose]();
      throw error;
    }
  }
}

/** What was asked for of the outputs: the tensors, or their best values. */
function answered(request: RunRequest, ran: Ran): Ran {
  const { model } = ran;
  if (!request.outputs.some(({ classification }) => classification !== undefined)) return ran;
  const replaced = new Map<string, Tensor>();
  const wanted = ran.wanted.map((output, i): WantedOutput => {
    const { name, classification } = request.outputs[i]!;
    if (classification === undefined) return output;
    const best = classified(ran.outputs[name]!, classification, model.maxBatch > 0, labelsOf(model, name));
    replaced.set(name, best);
    return { ...output, wire: classifiedWire(output.wire) };
  });
  return { ...ran, wanted, outputs: withReplaced(ran.outputs, replaced) };
}

function wantedOutputs(request: RunRequest, wire: ModelWire, allBinary: boolean): readonly WantedOutput[] {
  const wanted =
    request.outputs.length === 0
      ? allBinary
        ? wire.allBinary
        : wire.allJson
      : request.outputs.map(({ name, binary, classification, shared }) => {
          const output = wire.byName.get(name);
          if (output !== undefined) {
            const classified = classification !== undefined;
            return {
              wire: output,
              binary: shared !== undefined || (binary ?? allBinary),
              classified,
              shared,
            };
          }
          throw new TenonError("OUTPUT_UNKNOWN", { details: { output: name } });
        });
  for (const { wire: output, binary, classified } of wanted) {
    if (binary || output.hasJson || classified === true) continue;
    throw new TenonError("REQUEST_INVALID", {
      problem: `sending ${output.datatype} data via JSON is not supported. Please use the binary data format for output ${output.name}`,
    });
  }
  return wanted;
}

/** Runs the model; requests of different callers take turns. */
async function runFairly(
  { caller }: Asking,
  model: ServedModel,
  inputs: Readonly<Record<string, Tensor>>,
  options: ServedRunOptions,
): Promise<Outputs> {
  if (caller === undefined) return model.run(inputs, options);
  let share = shares.get(model);
  if (share === undefined) {
    share = new FairShare();
    shares.set(model, share);
  }
  const queueAs = share.enter(caller, performance.now());
  try {
    return await model.run(inputs, { ...options, queueAs });
  } finally {
    share.leave(caller, queueAs, performance.now());
  }
}

const shares = new WeakMap<ServedModel, FairShare<Caller>>();

/** Runs shorter than this end before their cancellation would: a signal and a timer cost them more than they save. */
const WORTH_CANCELLING_MS = 2;

/** Levels of priority; what is lower than the lowest is the default, as in Triton. */
const LOWEST_PRIORITY = 100;

/** A model with a configuration takes no more rows at once than that says. */
function checkRows(model: ServedModel, inputs: Readonly<Record<string, Tensor>>): void {
  if (model.maxBatch === 0 || configOfFile(model) === undefined) return;
  for (const name in inputs) {
    if ((inputs[name]!.shape[0] ?? 0) <= model.maxBatch) continue;
    throw new TenonError("INPUT_BATCH", { details: { model: model.name } });
  }
}

function runOptions(
  asking: Asking,
  model: ServedModel,
  wire: ModelWire,
  { parameters, outputs }: RunRequest,
  wanted: readonly WantedOutput[],
): ServedRunOptions {
  const level = countParameter(parameters, "priority") ?? 0;
  const timeout = countParameter(parameters, "timeout") ?? 0;
  // The protocol's 1 is the highest and 0 the default; the scheduler's 0 is both.
  const priority = level > 0 && level <= LOWEST_PRIORITY ? level - 1 : 0;
  const { runDeadline, timeLeft } = asking;
  const options: { -readonly [K in keyof ServedRunOptions]: ServedRunOptions[K] } = {};
  const hasRules = configOfFile(model)?.dynamic_batching !== undefined;
  if (hasRules) options.queue = { level, timeoutMs: timeout / 1000 };
  else if (timeout > 0) options.deadlineMs = Math.min(timeout / 1000, runDeadline);
  if (timeLeft !== undefined) options.deadlineMs = Math.min(timeLeft, options.deadlineMs ?? runDeadline);
  if (priority > 0) options.priority = priority;
  const sequence = sequenceMark(parameters);
  if (sequence !== undefined) options.sequence = sequence;
  // Of a sequence the next run may have to wait for as long as others hold all places.
  if (wire.averageMs >= WORTH_CANCELLING_MS || sequence !== undefined) options.signal = asking.signal;
  if (outputs.length > 0) options.outputs = wanted.map((output) => output.wire.name);
  return options;
}

function learn(wire: ModelWire, milliseconds: number): void {
  const { averageMs } = wire;
  wire.averageMs =
    averageMs === Number.POSITIVE_INFINITY ? milliseconds : averageMs * 0.9 + milliseconds * 0.1;
}
