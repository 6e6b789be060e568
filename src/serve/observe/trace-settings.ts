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

/** All settings as they are told. */
export type TraceState = typeof DEFAULTS;
type State = TraceState;
type Name = keyof State;

/** What values a setting takes; the texts of the others are fixed at the server's start. */
const FORMS: Partial<Readonly<Record<Name, RegExp>>> = {
  trace_level: /^(OFF|TIMESTAMPS|TENSORS)$/,
  trace_rate: /^[1-9][0-9]{0,9}$/,
  trace_count: /^(-1|[0-9]{1,15})$/,
  log_frequency: /^[0-9]{1,10}$/,
};

/** What a request's trace has to tell. */
export interface Sample {
  /** Names, datatypes and shapes of its tensors, too. */
  readonly tensors: boolean;
}

/** Requests that are counted together: those of a model with settings of its own, or of all models without. */
interface Count {
  seen: number;
  /** Traces that are still to come. */
  left: number;
}

export class TraceSettings {
  /** False: clients may neither see nor set them. */
  readonly enabled: boolean;
  #state: State = DEFAULTS;
  readonly #models = new Map<string, Partial<State>>();
  #count: Count = countOf(DEFAULTS);
  readonly #counts = new Map<string, Count>();
  /** Whether any request may have to be traced. */
  active = false;

  constructor(enabled: boolean) {
    this.enabled = enabled;
  }

  /** `trace_count` tells how many are still to come. */
  get(model?: string): State {
    const state = this.#of(model);
    if (state.trace_count === "-1") return state;
    const { left } = (model === undefined ? undefined : this.#counts.get(model)) ?? this.#count;
    return { ...state, trace_count: String(left) };
  }

  #of(model: string | undefined): State {
    return { ...this.#state, ...(model === undefined ? undefined : this.#models.get(model)) };
  }

  /**
   * Sets some, all or none; null, or an empty list, goes back to the default (of a model: to what all have). Counting
   * begins anew for those whose settings change. Unknown names are ignored. Throws REQUEST_INVALID, and
   * REQUEST_UNSUPPORTED for what clients may not set.
   */
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
    if (model === undefined) {
      this.#state = next as State; // every name has a value still
      this.#count = countOf(this.#state);
      // What a model does not set itself has changed for it, too.
      for (const name of this.#counts.keys()) this.#counts.set(name, countOf(this.#of(name)));
    } else if (Object.keys(next).length === 0) {
      this.#models.delete(model);
      this.#counts.delete(model);
    } else {
      this.#models.set(model, next as Partial<State>);
      this.#counts.set(model, countOf(this.#of(model)));
    }
    this.active = [undefined, ...this.#models.keys()].some((name) => isOn(this.#of(name)));
    return this.get(model);
  }

  /** Whether this request is traced, and how: one in `trace_rate`, `trace_count` of them at most. */
  sample(model: string): Sample | undefined {
    const state = this.#of(model);
    if (!isOn(state)) return undefined;
    const count = this.#counts.get(model) ?? this.#count;
    if (++count.seen % Number(state.trace_rate) !== 0 || count.left === 0) return undefined;
    count.left--;
    return { tensors: state.trace_level.includes("TENSORS") };
  }
}

function isOn({ trace_level: levels }: State): boolean {
  return levels.some((level) => level !== "OFF");
}

function countOf({ trace_count: count }: State): Count {
  return { seen: 0, left: count === "-1" ? Number.POSITIVE_INFINITY : Number(count) };
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
