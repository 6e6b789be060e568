/** What a model process is told to load. */
import type { BuildOptions, Identity } from "../load.js";
import type { ModelSource } from "../prepare.js";

export interface LoadMessage {
  /** Number under which runs name the model. */
  readonly model: number;
  readonly source:
    | { readonly path: string }
    /** Bytes of a model in the mapping. */
    | { readonly offset: number; readonly bytes: number };
  readonly baseDir: string | null;
  readonly trust: ModelSource["trust"];
  readonly identity: Identity;
  readonly build: BuildOptions;
  readonly cache: { readonly folder: string; readonly maxBytes: number } | null;
  /** Threads of one run; above 1 on the weights of the model `wideOf`. */
  readonly threads: number;
  readonly wideOf: number | null;
  /** Bytes that the address space may grow by; null for no limit. */
  readonly growth: number | null;
  /** Folder to work in. */
  readonly folder: string | null;
}
