/** Models that take time to make: what was made of the same parts before, and is compiled still, is not made again. */
import { createHash } from "node:crypto";
import type { OnnxModel } from "../onnx/index.js";
import type { ModelCache } from "./cache.js";
import { type BuildOptions, type Identity, keyOf } from "./load.js";

/** How a model is made, and what tells whether it was. */
export interface MadeSource<T> {
  /**
   * Tells everything that the model and `about` are made of: where two such texts are equal, so are these. Undefined where
   * that cannot be told; then it is made each time.
   */
  recall(): Promise<string | undefined>;
  make(): Promise<{ readonly model: OnnxModel; readonly about: T }>;
  /** Whether this is what `make` gives. What lies on a disk may be anything. */
  isAbout(value: unknown): value is T;
}

interface Note {
  readonly key: string;
  readonly bytes: number;
  readonly about: unknown;
  /** Of all of it: a note that is damaged is none. */
  readonly sum: string;
}

const NOTE = "made";

/** The name under which is kept what comes of a source; undefined where it cannot be told. */
export async function madeKey<T>(
  source: MadeSource<T>,
  build: BuildOptions,
  runtimeVersion: string,
): Promise<string | undefined> {
  const recall = await source.recall();
  return recall === undefined ? undefined : await keyOf(`made ${recall}`, build, runtimeVersion);
}

/** What was made before, where it is compiled still. */
export async function recallMade<T>(
  source: MadeSource<T>,
  made: string,
  cache: ModelCache,
): Promise<{ readonly identity: Identity; readonly about: T } | undefined> {
  const note = await cache.readNote<Note>(made, NOTE);
  if (typeof note?.key !== "string" || typeof note.bytes !== "number") return undefined;
  const { key, bytes, about } = note;
  if (note.sum !== sumOf(made, key, bytes, about) || !source.isAbout(about)) return undefined;
  return (await cache.find(key)) === undefined
    ? undefined
    : { identity: { key, bytes, hashed: true }, about };
}

export async function rememberMade(
  made: string,
  { key, bytes }: Identity,
  about: unknown,
  cache: ModelCache,
): Promise<void> {
  await cache.writeNote(made, NOTE, { key, bytes, about, sum: sumOf(made, key, bytes, about) });
}

function sumOf(...parts: readonly unknown[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}
