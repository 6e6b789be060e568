/** RepositoryEntry: a model that a repository could load, and where its files lie. */

/** A version of a model: a decimal number above 0, and its file. */
export interface VersionEntry {
  readonly version: string;
  readonly path: string;
}

/** A model that can be loaded. */
export interface RepositoryEntry extends VersionEntry {
  readonly name: string;
  /** Its folder, where that has files beside the versions. */
  readonly folder?: string | undefined;
  /** A `config.pbtxt` that belongs to it. */
  readonly config?: string | undefined;
  /** All versions that there are, the newest first; default: the one above, which is the newest. */
  readonly versions?: readonly VersionEntry[] | undefined;
}
