/** What was compared of a known model: the bytes of its files, and the vectors that its authors' library makes. */

/** Vectors of some texts by another library, to compare with. */
export interface GoldenVectors {
  /** The library with its version. */
  readonly from: string;
  readonly texts: readonly string[];
  /** One a text, of the whole model, without a prompt: numbers, or little-endian float32 as base64. */
  readonly vectors: readonly (string | ArrayLike<number>)[];
}

export interface KnownFacts {
  /** The commit that the files are of. */
  readonly revision?: string;
  /** SHA-256 by path. */
  readonly files: Readonly<Record<string, string>>;
  readonly golden?: GoldenVectors;
}
