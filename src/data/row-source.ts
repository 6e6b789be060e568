/** Where batches take their rows from: the columns of a window, and the order in which its rows are given. */
import type { Column } from "./column.js";
import type { Chunk } from "./scan.js";
import type { Workspace } from "./workspace.js";

/** The rows of a window that a batch takes. */
export interface Source {
  readonly columns: Pick<ReadonlyMap<string, Column>, "get">;
  readonly order: Uint32Array | null;
  /** The chunks that the columns are joined of. */
  readonly parts?: readonly Chunk[];
  /** Whose memory numbers may lie in. */
  readonly workspace?: Workspace | undefined;
}
