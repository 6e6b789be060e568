/** Window: the texts that are sorted by length together. */
import type { MatrixData } from "../matrix.js";
import type { Tokens } from "../text.js";
import type { Item } from "./queue.js";

/** A text that waits for its vector. */
export interface Waiting extends Item {
  readonly tokens: Tokens;
  /** Called once, with a view that holds until it returns. */
  deliver(vector: MatrixData, ran: Ran): void;
}

/** A run: when it started, by `performance.now()`, and how long it took. */
export interface Ran {
  readonly start: number;
  readonly ms: number;
}

export const WINDOW_TEXTS = 2048;
const WINDOW_TOKENS = 65_536;

export class Window {
  readonly items: Waiting[] = [];
  #tokens = 0;

  get full(): boolean {
    return this.items.length >= WINDOW_TEXTS || this.#tokens >= WINDOW_TOKENS;
  }

  add(item: Waiting): void {
    this.items.push(item);
    this.#tokens += item.length;
  }
}
