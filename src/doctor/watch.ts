/** watch(): the warnings of a process, read from its events and gathered as advice, each of a kind once. */
import { type EventMap, on } from "../base/index.js";

/** One thing that the process does not do as well as it could. */
export interface Advice {
  /** Stable, in capitals. */
  readonly code: string;
  /** The model or resource that it is about; `process` for the whole. */
  readonly where: string;
  readonly message: string;
  /** How often it was told. */
  readonly count: number;
}

/** Events that carry advice, and how each says it. */
const SOURCES: { readonly [N in keyof EventMap]?: (payload: EventMap[N]) => Omit<Advice, "count"> } = {
  "engine:warning": ({ code, message }) => ({ code, where: "process", message }),
  "model:warning": ({ model, code, message }) => ({ code, where: model, message }),
  "resource:leaked": ({ kind, name }) => ({
    code: "RESOURCE_LEAKED",
    where: name,
    message: `a ${kind} was dropped without being closed; close it, or declare it with using`,
  }),
};

export interface Watch extends Disposable {
  /** What was told so far, in the order of first mention. */
  advice(): Advice[];
}

/**
 * Listens to the events of this process until it is disposed.
 *
 * ```ts
 * using doctor = watch();
 * await using engine = await Engine.open();
 * for (const { code, message } of doctor.advice()) console.warn(code, message);
 * ```
 */
export function watch(): Watch {
  const told = new Map<string, Advice>();
  const note = (advice: Omit<Advice, "count">): void => {
    const key = `${advice.code} ${advice.where}`;
    told.set(key, { ...advice, count: (told.get(key)?.count ?? 0) + 1 });
  };
  const listen = <N extends keyof EventMap>(name: N): (() => void) => {
    const say = SOURCES[name];
    return say === undefined ? () => undefined : on(name, (payload) => note(say(payload)));
  };
  const stops = (Object.keys(SOURCES) as (keyof EventMap)[]).map((name) => listen(name));
  return {
    advice: () => [...told.values()],
    [Symbol.dispose]: () => {
      for (const stop of stops) stop();
    },
  };
}
