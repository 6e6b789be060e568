/** Model: a loaded model's handle; what users call. */
import { emit, isTenonError, TenonError } from "../base/index.js";
import type { FindingCode } from "../onnx/index.js";
import { type DType, type NumericArray, sizeOf, Tensor, tensorFromStorage } from "../tensor/core.js";
import type { BatchAxis } from "./batch-axis.js";
import { BatchLog, type BatchRecord } from "./batch-log.js";
import { BufferPool } from "./buffers.js";
import type { CostModels, CostPoint } from "./cost-model.js";
import type { ExplicitBatching } from "./explicit-queue.js";
import { joinRows } from "./join.js";
import type { Member } from "./lane.js";
import type { LaneBudget } from "./lane-budget.js";
import { Lease } from "./lease.js";
import type { Loaded } from "./load.js";
import { mapOrdered } from "./map.js";
import { OutputShapes } from "./output-shapes.js";
import { type Outputs, outputRecord, SharedBuffers } from "./outputs.js";
import { lengthBucket, type Padding, paddableLength } from "./padding.js";
import type { Pending } from "./pending.js";
import { Scheduler } from "./scheduler.js";
import type { RunLane } from "./session.js";
import type { Signature } from "./signature.js";
import { type Inputs, orderInputs, orderOutputs } from "./validate.js";
import { WideSession } from "./wide-gear.js";

/** Findings of a model whose runs take as long as a request asks for. */
const STEERED: ReadonlySet<FindingCode> = new Set(["LOOP_INPUT_BOUND", "LOOP_UNBOUNDED", "SIZE_INPUT_BOUND"]);

export interface RunOptions {
  /** Cancels the run: free while it waits; between two nodes when it runs alone. */
  readonly signal?: AbortSignal;
  /** Milliseconds from now; then the promise rejects with DEADLINE. Default: none. */
  readonly deadlineMs?: number;
  /** 0 is the default and the highest; each level more waits for those before it (but ages: nobody waits for ever). */
  readonly priority?: number;
  /** Queued as if it had come at this time, on the clock of `performance.now()`; for turns between callers. Default: now. */
  readonly queueAs?: number;
  /** For models with rules for batches: its level of priority, and the milliseconds that it is ready to wait. */
  readonly queue?: { readonly level?: number; readonly timeoutMs?: number };
  /** Names of the outputs to compute; default all. */
  readonly outputs?: readonly string[];
  /** Memory to write outputs into: dense tensors, or typed arrays, of exactly the output's size. */
  readonly into?: Readonly<Record<string, Tensor | NumericArray>>;
}

export interface MapOptions extends Omit<RunOptions, "into" | "deadlineMs"> {
  /** Runs under way at once; default: enough to keep all lanes busy with batches at the knee. */
  readonly inFlight?: number;
}

/** How a model behaves on this machine, measured. */
export interface ModelProfile {
  readonly loadMs: number;
  readonly cacheHit: boolean;
  readonly lanes: number;
  /** The process that runs it; undefined when it is this one, or while it is replaced. */
  readonly pid: number | undefined;
  readonly batch: BatchAxis & { readonly maxRows: number };
  /** Milliseconds by batch size, for the input shapes that were calibrated or seen. */
  readonly cost: readonly {
    readonly shapes: string;
    readonly knee: number;
    readonly best: number;
    readonly hopMs: number;
    readonly points: readonly CostPoint[];
  }[];
  readonly wide: { readonly open: boolean; readonly used: boolean };
}

export interface ModelParts {
  readonly name: string;
  readonly version: string;
  readonly loaded: Loaded;
  readonly axis: BatchAxis;
  readonly budget: LaneBudget;
  readonly costs: CostModels;
  readonly maxRows: number;
  readonly maxDelayMs: number;
  readonly explicit: ExplicitBatching | undefined;
  readonly instances: number | undefined;
  readonly queueLimit: number;
  readonly allowZero: boolean;
  /** Called once, when the model begins to be unloaded. */
  readonly onRetire: () => void;
  /** Called once, when the model is unloaded and its lanes are free. */
  readonly onUnload: () => Promise<void>;
}

/** Later arrival that one level of priority is worth, in runs of one row. */
const AGEING_RUNS = 10;
const AGEING_FLOOR_MS = 1;

export class Model {
  readonly name: string;
  readonly version: string;
  readonly signature: Signature;
  readonly #parts: ModelParts;
  readonly #scheduler: Scheduler;
  readonly #log: BatchLog;
  readonly #shapes: OutputShapes;
  readonly #pool = new BufferPool();
  readonly #wide: WideSession;
  readonly #allOutputs: readonly number[];
  readonly #allNames: readonly string[];
  readonly #leases = new Set<Lease>();
  #leased = 0;
  /** Rows of one batch here; 0 when requests are not batched. */
  readonly #maxBatch: number;
  /** Where requests of other lengths share runs. */
  readonly #padding: Padding | undefined;
  #successor: Model | undefined;
  #unleased: (() => void) | undefined;
  #syncLane: RunLane | undefined;
  #unloading: Promise<void> | undefined;
  #freeing: Promise<void> | undefined;

  constructor(parts: ModelParts) {
    this.name = parts.name;
    this.version = parts.version;
    this.signature = parts.loaded.signature;
    this.#maxBatch = parts.axis.batchable ? parts.maxRows : 0;
    this.#padding = parts.axis.padding?.harmless === true ? parts.axis.padding : undefined;
    this.#parts = parts;
    this.#log = new BatchLog(parts.name);
    const { session } = parts.loaded;
    this.#shapes = new OutputShapes(session.signature);
    this.#wide = new WideSession(parts.loaded, parts.budget.lanes, this.#shapes, this.#pool);
    this.#allOutputs = this.signature.outputs.map((_, i) => i);
    this.#allNames = this.signature.outputs.map((output) => output.name);
    this.#scheduler = new Scheduler(
      {
        model: parts.name,
        maxRows: Math.max(1, this.#maxBatch),
        queueLimit: parts.queueLimit,
        maxDelayMs: parts.maxDelayMs,
        padding: this.#padding,
        keyAlone: (request) => this.#batchKey(request.member.inputs, request.outputs),
        explicit: parts.explicit,
        instances: parts.instances,
        foreseeable: !parts.loaded.findings.some(({ code }) => STEERED.has(code)),
      },
      session,
      {
        budget: parts.budget,
        shapes: this.#shapes,
        pool: this.#pool,
        costs: parts.costs,
        log: this.#log,
        wideGear: this.#wide,
      },
    );
  }

  /** Most rows in one batch; 0 when requests to this model are not batched. */
  get maxBatch(): number {
    return this.#successor?.maxBatch ?? this.#maxBatch;
  }

  /**
   * Runs the model, together with other requests when its rows are independent. The inputs must not change until the
   * promise settles. Rejects with INPUT_*, OUTPUT_UNKNOWN, QUEUE_FULL, DEADLINE, CANCELLED, ENGINE_CLOSED or ENGINE_FAILED.
   *
   * ```ts
   * const { y } = await model.run({ x: tensor([[1, 2]]) });
   * ```
   */
  run(inputs: Inputs, options: RunOptions = {}): Promise<Outputs> {
    if (this.#successor !== undefined) return this.#successor.run(inputs, options);
    let ordered: Tensor[];
    let outputs: readonly number[];
    let into: ReadonlyMap<number, Tensor> | undefined;
    let rows: number;
    try {
      ordered = this.#check(inputs);
      outputs = this.#wanted(options.outputs);
      into = this.#targets(options.into);
      rows = this.#rowsOf(ordered);
    } catch (error) {
      return Promise.reject(error);
    }
    if (this.#maxBatch > 0 && rows > this.#maxBatch)
      return this.#runSplit(ordered, rows, outputs, into, options);
    return this.#submit({ inputs: ordered, rows, into }, outputs, options);
  }

  /** Runs on this thread, at once and alone: for scripts and tiny models. Blocks the event loop. Throws USAGE when the model has its own process. */
  runSync(inputs: Inputs, options: Pick<RunOptions, "outputs" | "into"> = {}): Outputs {
    if (this.#successor !== undefined) return this.#successor.runSync(inputs, options);
    this.#assertLoaded();
    this.#syncLane ??= this.#newLane();
    if (this.#syncLane.runSync === undefined) {
      throw new TenonError("USAGE", {
        problem: "runSync needs the model in this process",
        given: "a model in a process of its own",
        do: 'await model.run(…), or open the engine with { isolation: "inline" }',
      });
    }
    const ordered = this.#check(inputs);
    const outputs = this.#wanted(options.outputs);
    const member = { inputs: ordered, rows: this.#rowsOf(ordered), into: this.#targets(options.into) };
    const result = this.#syncLane.runSync({ members: [member], rows: member.rows, outputs });
    const shared = new SharedBuffers(this.#pool, result.buffers, 1);
    return outputRecord(this.#names(outputs), result.tensors, shared);
  }

  /** Outputs for each of many inputs, in their order, with a bounded number under way. */
  map(
    source: Iterable<Inputs> | AsyncIterable<Inputs>,
    options: MapOptions = {},
  ): AsyncIterableIterator<Outputs> {
    const inFlight = options.inFlight ?? this.#mapWindow();
    return mapOrdered(
      source,
      inFlight,
      (inputs, signal) => this.run(inputs, { ...options, signal }),
      options.signal,
    );
  }

  #mapWindow(): number {
    if (this.#successor !== undefined) return this.#successor.#mapWindow();
    let knee = 1;
    for (const [, cost] of this.#parts.costs.entries()) knee = Math.max(knee, cost.knee);
    return this.#parts.budget.lanes * Math.max(this.#parts.budget.depth, 2) * (this.#maxBatch > 0 ? knee : 1);
  }

  /**
   * Pinned memory for `rows` rows: inputs to write into and outputs to read from, nothing is copied. Needs a signature
   * whose dims, but for the leading symbolic one, are all fixed; otherwise give `shapes`. Throws INPUT_SHAPE.
   */
  lease(
    rows: number,
    options: { readonly shapes?: Readonly<Record<string, readonly number[]>> } = {},
  ): Promise<Lease> {
    if (this.#successor !== undefined) return this.#successor.lease(rows, options);
    this.#assertLoaded();
    const key = `lease ${this.#leased++}`;
    return Lease.open({
      session: this.#parts.loaded.session,
      signature: this.signature,
      rows,
      ...(options.shapes === undefined ? {} : { shapes: options.shapes }),
      submit: (member, lane, runOptions) => this.#submit(member, this.#allOutputs, runOptions, { lane, key }),
      register: (lease) => void this.#leases.add(lease),
      released: (lease) => {
        this.#leases.delete(lease);
        if (this.#leases.size === 0) this.#unleased?.();
      },
    });
  }

  /** What was measured about this model. */
  get profile(): ModelProfile {
    if (this.#successor !== undefined) return this.#successor.profile;
    const { loaded, axis, budget, costs } = this.#parts;
    return {
      loadMs: loaded.milliseconds,
      cacheHit: loaded.cacheHit,
      lanes: Math.min(budget.lanes, this.#parts.instances ?? budget.lanes),
      pid: loaded.session.pid,
      batch: { ...axis, maxRows: this.#maxBatch },
      cost: [...costs.entries()].map(([shapes, cost]) => ({
        shapes,
        knee: cost.knee,
        best: cost.best,
        hopMs: cost.hopMs,
        points: cost.points(),
      })),
      wide: this.#wide.state,
    };
  }

  /** Why the last batches were formed as they were, oldest first; at most 4,096. */
  explain(count?: number): BatchRecord[] {
    return this.#successor?.explain(count) ?? this.#log.last(count);
  }

  /** Requests that wait in the queue. */
  get waiting(): number {
    return this.#scheduler.waiting + (this.#successor?.waiting ?? 0);
  }

  /** Lets the accepted requests finish, then frees everything. New calls are refused with ENGINE_CLOSED. */
  unload(): Promise<void> {
    this.#unloading ??= this.#end((reason) => this.#scheduler.drain(reason), this.#successor?.unload());
    return this.#unloading;
  }

  /** Rejects what waits and stops what runs, then frees everything. */
  close(): Promise<void> {
    this.#unloading ??= this.#end((reason) => this.#scheduler.close(reason), this.#successor?.close());
    return this.#unloading;
  }

  /**
   * Hands every further call to `next`, which answers the same from another session. What was accepted is answered
   * here, leases live until they are released; then this one's session is freed.
   */
  async supersede(next: Model): Promise<void> {
    this.#successor = next;
    if (this.#leases.size > 0) await new Promise<void>((resolve) => (this.#unleased = resolve));
    this.#freeing ??= this.#free((reason) => this.#scheduler.drain(reason));
    await this.#freeing;
  }

  async #end(
    stop: (reason: TenonError) => Promise<void>,
    successor: Promise<void> | undefined,
  ): Promise<void> {
    this.#parts.onRetire();
    this.#freeing ??= this.#free(stop);
    this.#unleased?.();
    await Promise.all([this.#freeing, successor]);
    if (successor === undefined) emit("model:unloaded", { model: this.name, version: this.version });
  }

  async #free(stop: (reason: TenonError) => Promise<void>): Promise<void> {
    await stop(
      new TenonError("ENGINE_CLOSED", {
        problem: `model "${this.name}" was unloaded`,
        details: { model: this.name },
      }),
    );
    for (const lease of [...this.#leases]) lease.release();
    this.#syncLane?.dispose();
    await this.#wide.close();
    this.#pool.clear();
    await this.#parts.onUnload();
  }

  /** Whether it takes no more calls, for it was unloaded. */
  get unloaded(): boolean {
    return this.#unloading !== undefined || (this.#successor?.unloaded ?? false);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.unload();
  }

  // ── inside ───────────────────────────────────────────────────────────────────────────────────

  #assertLoaded(): void {
    if (this.#unloading !== undefined)
      throw new TenonError("ENGINE_CLOSED", { problem: `model "${this.name}" was unloaded` });
  }

  #newLane(): RunLane {
    return this.#parts.loaded.session.lane(this.#shapes, this.#pool);
  }

  #check(inputs: Inputs): Tensor[] {
    return orderInputs(this.name, this.signature, inputs, { allowZero: this.#parts.allowZero });
  }

  #wanted(names: readonly string[] | undefined): readonly number[] {
    return names === undefined ? this.#allOutputs : orderOutputs(this.name, this.signature, names);
  }

  #names(outputs: readonly number[]): readonly string[] {
    return outputs === this.#allOutputs ? this.#allNames : outputs.map((output) => this.#allNames[output]!);
  }

  #targets(into: RunOptions["into"]): ReadonlyMap<number, Tensor> | undefined {
    if (into === undefined) return undefined;
    const targets = new Map<number, Tensor>();
    for (const [name, target] of Object.entries(into)) {
      const index = orderOutputs(this.name, this.signature, [name])[0]!;
      targets.set(
        index,
        target instanceof Tensor ? target : wrap(this.signature.outputs[index]!.dtype, target),
      );
    }
    return targets;
  }

  /** Size of the batch axis; throws INPUT_BATCH when the inputs differ in it. */
  #rowsOf(inputs: readonly Tensor[]): number {
    if (this.#maxBatch === 0) return 1;
    const rows = inputs[0]!.shape[0]!;
    for (let i = 1; i < inputs.length; i++) {
      if (inputs[i]!.shape[0] === rows) continue;
      throw new TenonError("INPUT_BATCH", {
        problem: `input "${this.signature.inputs[i]!.name}" has another batch size than the other inputs`,
        given: String(inputs[i]!.shape[0]),
        expected: `${rows}, as "${this.signature.inputs[0]!.name}"`,
        details: { model: this.name, input: this.signature.inputs[i]!.name },
      });
    }
    return rows;
  }

  #submit(
    member: Member,
    outputs: readonly number[],
    options: RunOptions,
    lease?: { readonly lane: RunLane; readonly key: string },
  ): Promise<Outputs> {
    return new Promise((resolve, reject) => {
      const refused = this.#parts.loaded.session.refuse?.(member);
      if (refused !== undefined) {
        reject(refused);
        return;
      }
      const now = performance.now();
      const length = lease === undefined ? this.#lengthOf(member.inputs) : undefined;
      const batchKey = lease?.key ?? this.#batchKey(member.inputs, outputs, length);
      const priority = options.priority ?? 0;
      const runMs = priority === 0 || lease !== undefined ? 0 : this.#parts.costs.of(batchKey).predict(1);
      const ageing = priority * Math.max(AGEING_FLOOR_MS, AGEING_RUNS * runMs);
      const request: Pending = {
        member,
        batchKey,
        length,
        outputs,
        rank: (options.queueAs ?? now) + ageing,
        arrivedAt: now,
        deadlineAt: options.deadlineMs === undefined ? Number.POSITIVE_INFINITY : now + options.deadlineMs,
        priority,
        level: options.queue?.level,
        queueTimeoutMs: options.queue?.timeoutMs,
        lane: lease?.lane,
        resolve,
        reject,
        signal: options.signal,
        state: "queued",
        run: undefined,
        timer: undefined,
        onAbort: undefined,
      };
      this.#scheduler.submit(request);
    });
  }

  /** Where requests are filled up: the size that is, unless this one must be left as it is. */
  #lengthOf(inputs: readonly Tensor[]): number | undefined {
    return this.#padding === undefined ? undefined : paddableLength(this.#padding, inputs);
  }

  /**
   * Requests with equal keys may share a batch: all dims but the batch axis, and the outputs wanted. Of a `length` that may be
   * filled up only its bucket counts.
   */
  #batchKey(inputs: readonly Tensor[], outputs: readonly number[], length?: number): string {
    const from = this.#maxBatch > 0 ? 1 : 0;
    let key = length === undefined ? "" : `to ${lengthBucket(length)}:`;
    inputs.forEach(({ shape }, i) => {
      const free = length === undefined ? undefined : this.#padding!.inputs![i];
      for (let axis = from; axis < shape.length; axis++)
        key += free?.includes(axis) ? "*," : `${shape[axis]},`;
      key += ";";
    });
    return outputs === this.#allOutputs ? key : `${key}|${outputs.join(",")}`;
  }

  /** A request larger than a batch: its parts run side by side and write into one set of outputs. */
  async #runSplit(
    inputs: readonly Tensor[],
    rows: number,
    outputs: readonly number[],
    into: ReadonlyMap<number, Tensor> | undefined,
    options: RunOptions,
  ): Promise<Outputs> {
    const failed = new AbortController();
    const signal =
      options.signal === undefined ? failed.signal : AbortSignal.any([options.signal, failed.signal]);
    const parts: Promise<Outputs>[] = [];
    for (let start = 0; start < rows; start += this.#maxBatch) {
      const count = Math.min(this.#maxBatch, rows - start);
      const part = inputs.map((tensor) => tensor.slice([start, start + count]));
      parts.push(
        this.#submit({ inputs: part, rows: count, into: undefined }, outputs, { ...options, signal }),
      );
    }
    try {
      const results = await Promise.all(parts);
      const names = this.#names(outputs);
      const joined = names.map((name, i) =>
        joinRows(
          results.map((result) => result[name]!),
          rows,
          into?.get(outputs[i]!),
        ),
      );
      for (const result of results) result[Symbol.dispose]();
      return outputRecord(names, joined);
    } catch (error) {
      failed.abort(error);
      await Promise.allSettled(parts);
      throw options.signal?.aborted && isTenonError(error, "CANCELLED") ? error : error;
    }
  }
}

function wrap(dtype: DType, data: NumericArray): Tensor {
  return tensorFromStorage(dtype, [sizeOf([data.length])], data as never) as Tensor;
}
