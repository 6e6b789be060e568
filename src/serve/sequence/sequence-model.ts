/** SequenceModel: a model whose requests belong to sequences: they run in their order, with controls and state filled in. */
import { TenonError } from "../../base/index.js";
import {
  type Inputs,
  type Model,
  type Outputs,
  orderInputs,
  orderOutputs,
  outputRecord,
  type Signature,
} from "../../runtime/index.js";
import type { Tensor } from "../../tensor/index.js";
import { ConfiguredModel } from "../config/configured-model.js";
import type { ServedRunOptions } from "../served-model.js";
import type { SequenceMark } from "./mark.js";
import { Patience } from "./patience.js";
import type { SequenceRules } from "./rules.js";
import { Slots } from "./slots.js";

/** Sequences that are known at the same time, and requests of one that wait. */
const MOST_SEQUENCES = 65_536;
const MOST_WAITING = 4096;

interface Sequence {
  readonly key: string;
  /** What the last request left, by input. */
  readonly state: Map<string, Tensor>;
  /** Settled when the last accepted request is through. */
  last: Promise<unknown>;
  waiting: number;
  /** Its first request has had its turn. */
  begun: boolean;
  /** Takes no further request: ended, begun anew, or idle for too long. */
  over: boolean;
  /** Resolves when it may run. */
  readonly admitted: Promise<void>;
  readonly leave: () => void;
  timer: NodeJS.Timeout | undefined;
}

export class SequenceModel extends ConfiguredModel {
  readonly #model: Model;
  readonly #rules: SequenceRules;
  readonly #sequences = new Map<string, Sequence>();
  readonly #slots: Slots;

  constructor(model: Model, maxBatch: number, rules: SequenceRules) {
    super(model, maxBatch);
    this.#model = model;
    this.#rules = rules;
    this.#slots = new Slots(rules.slots);
  }

  override get signature(): Signature {
    return this.#rules.visible;
  }

  override get waiting(): number {
    return this.#model.waiting + this.#slots.waiting;
  }

  override async run(inputs: Inputs, options: ServedRunOptions = {}): Promise<Outputs> {
    const { sequence: mark } = options;
    const ordered = orderInputs(this.name, this.signature, inputs, { allowZero: false });
    if (this.maxBatch > 0 && ordered.some(({ shape }) => shape[0] !== 1)) {
      throw refused(
        `inference request to model '${this.name}' must specify batch-size 1 due to requirements of sequence batcher`,
      );
    }
    if (mark === undefined) {
      throw refused(
        `inference request to model '${this.name}' must specify a non-zero or non-empty correlation ID`,
      );
    }
    this.#checkId(mark);
    const { outputs } = this.signature;
    const wanted =
      options.outputs === undefined
        ? outputs.map(({ name }) => name)
        : orderOutputs(this.name, this.signature, options.outputs).map((i) => outputs[i]!.name);
    const sequence = this.#sequenceOf(mark);
    if (sequence.waiting >= MOST_WAITING) throw new TenonError("QUEUE_FULL");
    const patience = new Patience(options);
    sequence.waiting++;
    clearTimeout(sequence.timer);
    const before = sequence.last;
    const running = (async () => {
      await patience.wait(sequence.admitted);
      await patience.wait(before);
      return await this.#step(sequence, mark, inputs, wanted, options, patience);
    })();
    // Also behind one that gave up its turn the next one waits for those before.
    sequence.last = Promise.allSettled([before, running]).then(() => undefined);
    if (mark.end) this.#end(sequence);
    try {
      return await running;
    } catch (error) {
      // Without its first request nothing of it can be right; its next one is told to begin anew.
      if (mark.start && !sequence.begun) this.#end(sequence);
      throw error;
    } finally {
      sequence.waiting--;
      if (sequence.waiting === 0) this.#rest(sequence);
    }
  }

  #checkId({ id }: SequenceMark): void {
    const { ids } = this.#rules;
    if (ids === undefined || ids === "string" || typeof id !== "string") {
      const most = { int32: 2n ** 31n, uint32: 2n ** 32n, int64: 2n ** 63n }[String(ids)];
      if (most === undefined || typeof id === "string" || BigInt(id) < most) return;
    }
    throw refused(
      `sequence batching control 'CONTROL_SEQUENCE_CORRID' of model '${this.name}' is ${ids}, and cannot hold the correlation ID of the request`,
    );
  }

  /** The sequence of a request: a new one where it says START. Throws REQUEST_INVALID, QUEUE_FULL. */
  #sequenceOf({ id, start }: SequenceMark): Sequence {
    const key = `${typeof id === "string" ? "text" : "number"} ${id}`;
    const known = this.#sequences.get(key);
    if (!start) {
      if (known !== undefined) return known;
      throw this.#notBegun(id);
    }
    // One that was not ended is over now; what it accepted is still answered.
    if (known !== undefined) this.#end(known);
    if (this.#sequences.size >= MOST_SEQUENCES) throw new TenonError("QUEUE_FULL");
    const { admitted, leave } = this.#slots.enter();
    const sequence: Sequence = {
      key,
      state: new Map(),
      last: Promise.resolve(),
      waiting: 0,
      begun: false,
      over: false,
      admitted,
      leave,
      timer: undefined,
    };
    for (const { input, initial } of this.#rules.states) sequence.state.set(input, initial);
    this.#sequences.set(key, sequence);
    return sequence;
  }

  #notBegun(id: SequenceMark["id"]): TenonError {
    return refused(
      `inference request for sequence ${id} to model '${this.name}' must specify the START flag on the first request of the sequence`,
    );
  }

  async #step(
    sequence: Sequence,
    mark: SequenceMark,
    inputs: Inputs,
    wanted: readonly string[],
    { sequence: _, deadlineMs: __, signal, ...options }: ServedRunOptions,
    patience: Patience,
  ): Promise<Outputs> {
    const left = patience.left();
    if (mark.start) sequence.begun = true;
    else if (!sequence.begun) throw this.#notBegun(mark.id);
    const all: Record<string, Tensor> = Object.create(null);
    for (const name in inputs) all[name] = inputs[name]!;
    for (const { name, value } of this.#rules.controls) all[name] = value(mark);
    for (const [name, tensor] of sequence.state) all[name] = tensor;
    const { states } = this.#rules;
    const outputs = await this.#model.run(all, {
      ...options,
      ...(signal === undefined ? {} : { signal }),
      ...(left === undefined ? {} : { deadlineMs: left }),
      outputs: [...new Set([...wanted, ...states.map(({ output }) => output)])],
    });
    // Copied: the outputs' memory serves the next run.
    for (const { input, output } of states) sequence.state.set(input, outputs[output]!.clone());
    const record = outputRecord(
      wanted,
      wanted.map((name) => outputs[name]!),
    );
    return Object.defineProperty(record, Symbol.dispose, { value: () => outputs[Symbol.dispose]() });
  }

  #end(sequence: Sequence): void {
    sequence.over = true;
    if (this.#sequences.get(sequence.key) === sequence) this.#sequences.delete(sequence.key);
    if (sequence.waiting === 0) this.#rest(sequence);
  }

  /** Nothing of it waits: it goes, or waits for its next request for as long as it may be idle. */
  #rest(sequence: Sequence): void {
    clearTimeout(sequence.timer);
    if (sequence.over) sequence.leave();
    else sequence.timer = setTimeout(() => this.#end(sequence), this.#rules.idleMs).unref();
  }
}

function refused(problem: string): TenonError {
  return new TenonError("REQUEST_INVALID", { problem });
}
