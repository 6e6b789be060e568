/** What polars' thread is asked for, and what it answers. */

/** What the thread is asked for. */
export type PolarsRequest =
  | {
      readonly kind: "window";
      readonly path: string;
      readonly row: number;
      readonly rows: number;
      readonly columns: readonly string[];
      /** Columns that go to `room` where they have no null, each from its byte `at` on. */
      readonly numbers: readonly RoomColumn[];
      readonly room: SharedArrayBuffer | null;
    }
  /** Runs a plan; its rows come as a stream. */
  | { readonly kind: "plan"; readonly plan: string }
  | { readonly kind: "spill"; readonly plan: string; readonly path: string };

export interface RoomColumn {
  readonly name: string;
  /** Name of the typed array. */
  readonly array: string;
  readonly at: number;
}

export type PolarsReply =
  | { readonly ready: true }
  | { readonly missing: string }
  | { readonly error: string }
  | PolarsAnswer;

export interface PolarsAnswer {
  /** Names of the columns that are in the room now. */
  readonly placed: readonly string[];
  /** The other columns as a stream of Arrow IPC; empty where there are none. */
  readonly bytes: Uint8Array;
}

export interface PolarsThread {
  ask(request: PolarsRequest): Promise<PolarsAnswer>;
  close(): Promise<void>;
}
