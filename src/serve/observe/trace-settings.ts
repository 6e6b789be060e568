/** TraceSettings: which requests are traced into the log, for all models or one, as clients of the trace extension set it. */
import { TenonError } from "../../base/index.js";

/** One setting as it is told: all are texts, levels are a list of them. */
export type TraceValue = string | readonly string[];

/** Every setting with its default. */
const DEFAULTS = {
  trace_level: ["OFF"] as readonly string[],
  trace_rate: "1000",
  trace_count: "-1",
  log_frequency: "0",
  trace_file: "",
  trace_mode: "triton",
};

type State = typeof DEFAULTS;
type Name = keyof State;

/** What values a setting takes; the texts of the others are fixed at the server's start. */
const FORMS: Partial<Readonly<Record<Name, RegExp>>> = {
  trace_level: /^(OFF|TIMESTAMPS|TENSORS)$/,
  trace_rate: /^[1-9][0-9]{0,9}$/,
  trace_count: /^(-1|[0-9]{1,15})$/,
  log_frequency: /^[0-9]{1,10}$/,
};

const MOST_MODELS = 10_000;

export class TraceSettings {
  /** False: clients may neither see nor set them. */
  readonly enabled: boolean;
  #state: State = DEFAULTS;
  readonly #models = new Map<string, Partial<State>>();
  /** Requests seen, and traces left, by model with settings of its own; of all others together under "". */
  readonly #seen = new Map<string, { seen: number; left: number }>();
  /** Whether any request may have to be traced. */
  active = false;

  constructor(enabled: boolean) {
    this.enabled = enabled;
  }

  get(model?: string): State {
    return { ...this.#state, ...(model === undefined ? {} : this.#models.get(model)) };
  }

  /** Sets some; null, or an empty list, goes back to the default (of a model: to what all have). Unknown names are ignored. */
  update(model: string | undefined, changes: ReadonlyMap<string, TraceValue | null>): State {
    const next: Record<string, TraceValue> = {
      ...(model === undefined ? this.#state : this.#models.get(model)),
    };
    for (const [name, value] of changes) {
      if (!Object.hasOwn(DEFAULTS, name)) continue;
      if (value === null || value.length === 0) {
        if (model === undefined) next[name] = DEFAULTS[name as Name];
        else delete next[name];
      } else next[name] = checked(name as Name, value);
    }
    if (model === undefined) this.#state = next as State;
    else {
      if (this.#models.size >= MOST_MODELS) this.#models.clear();
      this.#models.set(model, next as Partial<State>);
    }
    this.#seen.clear();
    const levels = [this.#state, ...this.#models.values()].map(({ trace_level }) => trace_level ?? []);
    this.active = levels.some((level) => level.some((one) => one !== "OFF"));
    return this.get(model);
  }

  /** Whether this request is traced: one in `trace_rate`, `trace_count` of them at most. */
  sample(model: string): boolean {
    const { trace_level: level, trace_rate: rate, trace_count: count } = this.get(model);
    if (!level.some((one) => one !== "OFF")) return false;
    const key = this.#models.has(model) ? model : "";
    let counter = this.#seen.get(key);
    if (counter === undefined) {
      counter = { seen: 0, left: count === "-1" ? Number.POSITIVE_INFINITY : Number(count) };
      this.#seen.set(key, counter);
    }
    if (++counter.seen % Number(rate) !== 0 || counter.left === 0) return false;
    counter.left--;
    return true;
  }
}

function checked(name: Name, value: TraceValue): TraceValue {
  const form = FORMS[name];
  if (form === undefined) {
    throw new TenonError("REQUEST_UNSUPPORTED", {
      problem: `${name} can not be updated through network protocol`,
      details: { spoken: true },
    });
  }
  const texts = typeof value === "string" ? [value] : value;
  const wrong = texts.find((text) => !form.test(text));
  if (wrong !== undefined || (name !== "trace_level" && texts.length !== 1)) {
    throw new TenonError("REQUEST_INVALID", {
      problem: `failed to update trace setting '${name}', got '${String(wrong ?? texts).slice(0, 64)}'`,
    });
  }
  return name === "trace_level" ? texts : texts[0]!;
}
