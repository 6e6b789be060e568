/** Sessions by content key: handles on the same content share one. */
import type { Loaded } from "./load.js";

interface Shared {
  readonly loaded: Promise<Loaded>;
  handles: number;
}

/** One holder's part in a session. */
export interface SessionHandle {
  readonly loaded: Promise<Loaded>;
  /** To be called once, also when `loaded` rejects: the last holder's frees the session. */
  release(): Promise<void>;
}

export class SharedSessions {
  readonly #shared = new Map<string, Shared>();

  /** What `load` gave for this key, while somebody holds that, else what it gives now. */
  acquire(key: string, load: () => Promise<Loaded>): SessionHandle {
    const shared = this.#shared.get(key) ?? this.#begin(key, load());
    shared.handles++;
    return {
      loaded: shared.loaded,
      release: async () => {
        if (--shared.handles > 0) return;
        this.#forget(key, shared);
        const loaded = await shared.loaded.catch(() => undefined);
        await loaded?.session.release();
      },
    };
  }

  #begin(key: string, loaded: Promise<Loaded>): Shared {
    const shared = { loaded, handles: 0 };
    loaded.catch(() => this.#forget(key, shared));
    this.#shared.set(key, shared);
    return shared;
  }

  /** A later session of the same content stays. */
  #forget(key: string, shared: Shared): void {
    if (this.#shared.get(key) === shared) this.#shared.delete(key);
  }
}
