/** Flights: requests of the same content that are under way at the same time share one run. */
import { TenonError, toTenonError } from "../../base/index.js";
import { type Outputs, outputRecord, type RunOptions } from "../../runtime/index.js";

interface Flight {
  /** Those that still wait, or hold the outputs. */
  holders: number;
  /** Stops the run when nobody waits any more. */
  readonly stop: AbortController;
  readonly outputs: Promise<Outputs>;
}

type Waiting = Pick<RunOptions, "signal" | "deadlineMs">;

export class Flights {
  readonly #flights = new Map<string, Flight>();

  /**
   * The outputs of the run of this key that is under way, else of `run`. Each caller's own signal and deadline end its
   * waiting; the run is stopped when none is left. What comes back is disposed of by each caller.
   */
  join(key: string, waiting: Waiting, run: (signal: AbortSignal) => Promise<Outputs>): Promise<Outputs> {
    let flight = this.#flights.get(key);
    if (flight === undefined) {
      const stop = new AbortController();
      const outputs = run(stop.signal);
      const started: Flight = { holders: 0, stop, outputs };
      this.#flights.set(key, started);
      const land = (): void => {
        if (this.#flights.get(key) === started) this.#flights.delete(key);
      };
      outputs.then((made) => {
        land();
        if (started.holders === 0) made[Symbol.dispose]();
      }, land);
      flight = started;
    }
    flight.holders++;
    return this.#wait(key, flight, waiting);
  }

  #wait(key: string, flight: Flight, { signal, deadlineMs }: Waiting): Promise<Outputs> {
    return new Promise((resolve, reject) => {
      let over = false;
      let timer: NodeJS.Timeout | undefined;
      const end = (): boolean => {
        if (over) return false;
        over = true;
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        return true;
      };
      const leave = (error: TenonError): void => {
        if (!end()) return;
        flight.holders--;
        if (flight.holders === 0) {
          if (this.#flights.get(key) === flight) this.#flights.delete(key);
          flight.stop.abort();
        }
        reject(error);
      };
      const onAbort = (): void => leave(new TenonError("CANCELLED"));
      if (signal?.aborted) return onAbort();
      signal?.addEventListener("abort", onAbort, { once: true });
      if (deadlineMs !== undefined) timer = setTimeout(() => leave(new TenonError("DEADLINE")), deadlineMs);
      flight.outputs.then(
        (outputs) => {
          if (end()) resolve(held(flight, outputs));
        },
        (error: unknown) => {
          if (end()) reject(toTenonError(error));
        },
      );
    });
  }
}

/** One holder's view of the outputs. */
function held(flight: Flight, outputs: Outputs): Outputs {
  const names = Object.keys(outputs);
  const record = outputRecord(
    names,
    names.map((name) => outputs[name]!),
  );
  let open = true;
  return Object.defineProperty(record, Symbol.dispose, {
    value: () => {
      if (!open) return;
      open = false;
      if (--flight.holders === 0) outputs[Symbol.dispose]();
    },
  });
}
