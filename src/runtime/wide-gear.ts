/** WideSession: a second session on the same weights with all cores per run, for a lone request on a heavy model. */
import { ArenaWatch } from "./arena-watch.js";
import type { BufferPool } from "./buffers.js";
import type { Loaded } from "./load.js";
import type { OutputShapes } from "./output-shapes.js";
import type { WideGear } from "./scheduler.js";
import type { RunLane, Session } from "./session.js";

/** The wide gear must be at least this much faster than one thread to be kept. */
const WORTH = 0.9;
/** Runs to judge by; the first is a warm-up. */
const TRIALS = 6;

export class WideSession implements WideGear {
  readonly #loaded: Loaded;
  readonly #threads: number;
  readonly #shapes: OutputShapes;
  readonly #pool: BufferPool;
  #session: Session | undefined;
  #opening: Promise<void> | undefined;
  #idle: RunLane | undefined;
  #arena: ArenaWatch | undefined;
  #useless = false;
  #runs = 0;
  #ratio = 0;
  #closed = false;

  constructor(loaded: Loaded, threads: number, shapes: OutputShapes, pool: BufferPool) {
    this.#loaded = loaded;
    this.#threads = threads;
    this.#shapes = shapes;
    this.#pool = pool;
  }

  get state(): { open: boolean; used: boolean } {
    return { open: this.#session !== undefined, used: this.#session !== undefined && !this.#useless };
  }

  get arena(): ArenaWatch | undefined {
    return this.#arena;
  }

  lane(): RunLane | undefined {
    if (this.#useless || this.#closed) return undefined;
    if (this.#session === undefined) {
      this.#opening ??= this.#open();
      return undefined;
    }
    const lane = this.#idle ?? this.#session.lane(this.#shapes, this.#pool);
    this.#idle = undefined;
    return lane;
  }

  async #open(): Promise<void> {
    try {
      const session = await this.#loaded.widen(this.#threads);
      if (session === undefined) this.#useless = true;
      else {
        this.#session = session;
        this.#arena = new ArenaWatch(session);
      }
    } catch {
      this.#useless = true; // the one-thread session serves on
    }
  }

  done(lane: RunLane, ms: number, oneThreadMs: number): void {
    this.#idle = lane;
    if (++this.#runs === 1 || oneThreadMs <= 0) return;
    const weight = Math.min(this.#runs - 1, TRIALS);
    this.#ratio += (ms / oneThreadMs - this.#ratio) / weight;
    if (this.#runs > TRIALS && this.#ratio > WORTH) this.#useless = true;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#opening;
    this.#idle?.dispose();
    await this.#session?.release();
    this.#session = undefined;
  }
}
