/** pull: a model's files from a hub into the cache that Hugging Face's tools share. */
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { isTenonError, TenonError } from "../../base/index.js";
import { cacheFolder, linkBlob, revisionsOf, snapshotOf, writeRef } from "./cache.js";
import { chooseFiles } from "./choose.js";
import { HubClient, type HubFile } from "./client.js";
import { fileHash } from "./file-hash.js";
import { knownModel, repositoryOf } from "./known.js";
import { checkHubName, checkRevision, isInside } from "./names.js";
import { hubSettings } from "./settings.js";

export interface PullOptions {
  /** A branch, a tag or a commit. Default: what the registry names, else `main`. */
  readonly revision?: string;
  readonly signal?: AbortSignal;
  /** Called as bytes come: of the file, and of all files whose sizes are known so far. */
  readonly onProgress?: (progress: {
    readonly file: string;
    readonly done: number;
    readonly bytes: number | undefined;
  }) => void;
}

export interface Pulled {
  /** `owner/name`. */
  readonly repository: string;
  readonly commit: string;
  /** The folder with the files. */
  readonly folder: string;
  readonly files: readonly string[];
  /** Bytes that were read from the network. */
  readonly bytes: number;
}

/** Times that a connection may break while a file comes. */
const TRIES = 5;

/**
 * Reads what an embedder, a reranker or a classifier needs: configuration, tokenizer and one set of weights. Files that are
 * there are not read again, and half of one is gone on with; every file is compared with the hub's hash. Follows
 * HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE. Throws USAGE, MODEL_NOT_FOUND, SERVER_FAILED,
 * FILE_INVALID, CANCELLED.
 */
export async function pull(name: string, options: PullOptions = {}): Promise<Pulled> {
  checkHubName(name);
  const repository = repositoryOf(name);
  const wanted = options.revision === undefined ? revisionsOf(name) : [options.revision];
  const revision = wanted[0]!;
  checkRevision(revision);
  const settings = hubSettings();
  if (settings.offline) return offline(settings.cache, repository, wanted);
  const known = revision === knownModel(name)?.facts?.revision ? knownModel(name)?.facts?.files : undefined;
  const client = new HubClient(settings, options.signal);
  const { commit, files } = await client.repository(repository, revision);
  const outside = files.find((file) => !isInside(file));
  if (outside !== undefined) {
    throw new TenonError("SERVER_FAILED", {
      problem: "the hub names a file outside the model",
      given: JSON.stringify(outside.slice(0, 120)),
    });
  }
  const chosen = chooseFiles(files);
  if (chosen.length === 0) {
    throw new TenonError("MODEL_INCOMPLETE", {
      problem: "the model has no weights that are read here",
      given: files.slice(0, 20).join(", "),
      expected: "model.safetensors, pytorch_model.bin or onnx/model.onnx",
    });
  }
  const folder = cacheFolder(settings.cache, repository);
  const snapshot = join(folder, "snapshots", commit);
  await mkdir(join(folder, "blobs"), { recursive: true });
  await mkdir(snapshot, { recursive: true });
  let bytes = 0;
  for (const file of chosen) {
    const told = await client.file(repository, commit, file);
    const blob = join(folder, "blobs", told.hash);
    if (!(await isThere(blob, told.bytes))) {
      bytes += await fetchBlob(blob, file, told, options, (start) =>
        client.open(repository, commit, file, start),
      );
    }
    await checkKnown(known, blob, file);
    await linkBlob(blob, join(snapshot, file));
  }
  await writeRef(folder, revision, commit);
  return { repository, commit, folder: snapshot, files: chosen, bytes };
}

function offline(cache: string, repository: string, revisions: readonly string[]): Pulled {
  const folder = snapshotOf(cache, repository, revisions);
  if (folder !== undefined) return { repository, commit: folder.slice(-40), folder, files: [], bytes: 0 };
  throw new TenonError("MODEL_NOT_FOUND", {
    problem: "the model is not in the cache, and HF_HUB_OFFLINE forbids to ask for it",
    given: repository,
    do: "unset HF_HUB_OFFLINE, or bring the folder of another machine's cache",
  });
}

/** A file whose hash the registry knows must have it, whatever the hub says. */
async function checkKnown(
  known: Readonly<Record<string, string>> | undefined,
  blob: string,
  file: string,
): Promise<void> {
  const expected = known?.[file];
  if (expected === undefined) return;
  const given = await fileHash(blob, "sha256");
  if (given === expected) return;
  throw new TenonError("FILE_INVALID", {
    problem: `${file} is not the file that the registry knows`,
    given,
    expected,
    do: "name the hub's revision that you mean, if it is another: --revision COMMIT",
  });
}

async function isThere(path: string, bytes: number | undefined): Promise<boolean> {
  const size = await sizeOf(path);
  return size !== undefined && (bytes === undefined || size === bytes);
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch {
    return undefined;
  }
}

/** Bytes that came over the network. */
async function fetchBlob(
  blob: string,
  file: string,
  told: HubFile,
  options: PullOptions,
  openAt: (start: number) => ReturnType<HubClient["open"]>,
): Promise<number> {
  const part = `${blob}.incomplete`;
  let came = 0;
  for (let left = TRIES; ; left--) {
    const had = (await sizeOf(part)) ?? 0;
    try {
      if (had !== told.bytes || had === 0) came += await append(part, had, file, told, options, openAt);
      break;
    } catch (error) {
      if (options.signal?.aborted === true) throw new TenonError("CANCELLED", { cause: error });
      // A connection that broke is made again; what the hub itself refuses is not asked for twice.
      if (left <= 1 || (isTenonError(error) && !isBroken(error))) throw error;
      const isMore = ((await sizeOf(part)) ?? 0) > had;
      if (isMore) left = TRIES;
    }
  }
  await checkBlob(part, file, told);
  await rename(part, blob);
  return came;
}

function isBroken(error: TenonError): boolean {
  return error.code === "SERVER_FAILED" && Number(error.details.status ?? 500) >= 500;
}

async function append(
  part: string,
  had: number,
  file: string,
  told: HubFile,
  options: PullOptions,
  openAt: (start: number) => ReturnType<HubClient["open"]>,
): Promise<number> {
  const { start, body } = await openAt(told.bytes !== undefined && had > told.bytes ? 0 : had);
  const handle = await open(part, start === 0 ? "w" : "r+");
  let at = start;
  try {
    for await (const bytes of body) {
      if (told.bytes !== undefined && at + bytes.length > told.bytes)
        throw damaged(file, `more than ${told.bytes} bytes`);
      await handle.write(bytes, 0, bytes.length, at);
      at += bytes.length;
      options.onProgress?.({ file, done: at, bytes: told.bytes });
    }
  } catch (cause) {
    if (isTenonError(cause)) throw cause;
    throw new TenonError("SERVER_FAILED", { problem: `the connection broke while ${file} came`, cause });
  } finally {
    await handle.close();
  }
  if (told.bytes !== undefined && at < told.bytes)
    throw new TenonError("SERVER_FAILED", {
      problem: `${file} ended early`,
      given: `${at} of ${told.bytes} bytes`,
    });
  return at - start;
}

/** Throws FILE_INVALID, and takes the file away, where its bytes are not those of the hash. */
async function checkBlob(path: string, file: string, { hash, bytes }: HubFile): Promise<void> {
  const size = (await sizeOf(path)) ?? 0;
  const kind = /^[0-9a-f]{64}$/.test(hash) ? "sha256" : /^[0-9a-f]{40}$/.test(hash) ? "sha1" : undefined;
  // Of git's blobs, whose hash begins with their kind and size.
  const found =
    kind === undefined ? hash : await fileHash(path, kind, kind === "sha1" ? `blob ${size}\0` : "");
  if (found === hash && (bytes === undefined || bytes === size)) return;
  await rm(path, { force: true });
  throw damaged(
    file,
    `${size} bytes of the hash ${found}`,
    `${bytes ?? "any number of"} bytes of the hash ${hash}`,
  );
}

function damaged(file: string, given: string, expected?: string): TenonError {
  return new TenonError("FILE_INVALID", {
    problem: `${file} came damaged`,
    given,
    ...(expected === undefined ? {} : { expected }),
    do: "pull it again",
  });
}
