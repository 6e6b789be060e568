/** Loading: from a model file or bytes to a session on the compiled cache, everything slow off the event loop. */
import { createHash, randomUUID } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { isTenonError } from "../base/index.js";
import { type Finding, PREFLIGHT_VERSION, refusal, underTrust } from "../onnx/findings.js";
import { type CompiledMeta, type ModelCache, machineKey } from "./cache.js";
import { usableCores } from "./machine.js";
import { type OrtLibrary, ortLibrary } from "./ort/library.js";
import { createSession, type OrtSession, type SessionOptions } from "./ort/session.js";
import { giveBack } from "./ort/trim.js";
import { packedWeightsAligned } from "./prepacked.js";
import { type ModelSource, type Prepared, prepareModel, readStructure } from "./prepare.js";
import { inlineSession, type Session } from "./session.js";
import type { Signature } from "./signature.js";
import { identify, identifyBytes, recallBytes, recallIdentity } from "./source-identity.js";

/** Graph optimisation level of the built model, and what the session is given beside it. */
export interface BuildOptions {
  readonly optimization: SessionOptions["optimization"];
  readonly config: Readonly<Record<string, string>>;
  readonly providers: NonNullable<SessionOptions["providers"]>;
  /** For the first answers only: nothing is prepared or packed, one run at a time has all cores. */
  readonly quick?: true;
}

/** A model that is ready to run: shared by every handle on the same content and options. */
export interface Loaded {
  readonly key: string;
  readonly session: Session;
  readonly signature: Signature;
  readonly cacheHit: boolean;
  readonly milliseconds: number;
  readonly bytes: number;
  /** What preflight says about the model; none of it refuses. */
  readonly findings: readonly Finding[];
  /** Another session on the same weights with more threads per run; undefined without a cache. */
  widen(threads: number): Promise<Session | undefined>;
}

/** Weights of at least this size go to the shared file; smaller ones stay in the graph. */
const SHARED_WEIGHT_BYTES = "1024";

export interface Identity {
  /** Equal keys are the same compiled model. */
  readonly key: string;
  /** Of the model and its weight files. */
  readonly bytes: number;
  /** Whether the key tells the content. */
  readonly hashed: boolean;
}

/** An identity that no other load has, without hashing; for models that are not kept. Throws FILE_NOT_FOUND or MODEL_INVALID. */
export async function ownIdentity(source: ModelSource): Promise<Identity> {
  const files = [...(typeof source.from === "string" ? [source.from] : []), ...(await externalFiles(source))];
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
  const inMemory = typeof source.from === "string" ? 0 : source.from.byteLength;
  return { key: randomUUID(), bytes: sizes.reduce((sum, size) => sum + size, inMemory), hashed: false };
}

/** Content key of a source with these options, for this version of ONNX Runtime. Throws FILE_NOT_FOUND or MODEL_INVALID. */
export async function sourceKey(
  source: ModelSource,
  options: BuildOptions,
  cache: ModelCache | undefined,
  runtimeVersion: string,
): Promise<Identity> {
  const { sha256, bytes } =
    typeof source.from === "string"
      ? await identify(source.from, () => externalFiles(source), cache?.hashFolder)
      : await identifyBytes(source.from, await externalFiles(source), cache?.hashFolder);
  return { key: await keyOf(sha256, options, runtimeVersion), bytes, hashed: true };
}

/** Whether this model was compiled before, as far as can be told without hashing its files. */
export async function isCompiled(
  source: ModelSource,
  options: BuildOptions,
  cache: ModelCache,
  runtimeVersion: string,
): Promise<boolean> {
  const known =
    typeof source.from === "string"
      ? await recallIdentity(source.from, cache.hashFolder)
      : await recallBytes(source.from, await externalFiles(source), cache.hashFolder);
  if (known === undefined) return false;
  return (await cache.find(await keyOf(known.sha256, options, runtimeVersion))) !== undefined;
}

async function externalFiles(source: ModelSource): Promise<readonly string[]> {
  if (typeof source.from !== "string" && source.baseDir === undefined) return [];
  const { weightFiles } = await import("../onnx/index.js");
  return weightFiles(await readStructure(source));
}

/** The key of what these options make of a content, on this machine. */
export async function keyOf(sha256: string, options: BuildOptions, runtimeVersion: string): Promise<string> {
  const parts = JSON.stringify([sha256, runtimeVersion, PREFLIGHT_VERSION, await machineKey(), options]);
  return createHash("sha256").update(parts).digest("hex").slice(0, 40);
}

/** Loads what `sourceKey` identified. Throws MODEL_INVALID, MODEL_UNSUPPORTED, FILE_NOT_FOUND or ENGINE_PROVIDER. */
export async function loadModel(
  source: ModelSource,
  identity: Identity,
  options: BuildOptions,
  cache: ModelCache | undefined,
): Promise<Loaded> {
  const startedAt = performance.now();
  const library = await ortLibrary();
  const finish = (
    session: OrtSession,
    meta: Pick<CompiledMeta, "labels" | "findings">,
    cacheHit: boolean,
    path: string | undefined,
  ): Loaded => ({
    key: identity.key,
    session: inlineSession(session, withLabels(session.signature, meta), () => giveBackAfter(identity)),
    signature: withLabels(session.signature, meta),
    cacheHit,
    milliseconds: performance.now() - startedAt,
    bytes: identity.bytes,
    findings: underTrust(meta.findings, source.trust),
    widen: async (threads) => {
      if (path === undefined) return undefined;
      const wide = await openCompiled(library, path, options, threads);
      return inlineSession(wide, wide.signature, () => giveBackAfter(identity));
    },
  });

  const hit = await cache?.find(identity.key);
  if (hit !== undefined) {
    // It may have been compiled for somebody who trusts its author.
    const refused = refusal(underTrust(hit.meta.findings, source.trust));
    if (refused !== undefined) throw refused;
    try {
      return finish(await openCompiled(library, hit.modelPath, options, 1), hit.meta, true, hit.modelPath);
    } catch (error) {
      if (!isTenonError(error) || error.code === "ENGINE_PROVIDER") throw error;
      await cache!.drop(identity.key); // damaged: built again below
    }
  }

  const read = source.late === undefined ? source : { ...(await source.late()), trust: source.trust };
  const prepared = await prepareModel(read, options.quick === true && options.providers.length === 0);
  for (const form of cache === undefined ? [] : await usableForms(cache, identity.key)) {
    try {
      const entry = await cache!.add(identity.key, pick(prepared), async (folder) => {
        const builder = await openPrepared(library, prepared, options, {
          optimizedModelPath: join(folder, "model.onnx"),
          config: FORMS[form]!,
        });
        await builder.release();
        if (!(await packedWeightsAligned(join(folder, "model.onnx")))) throw new Error("misaligned weights");
      });
      const compiled = await openCompiled(library, entry.modelPath, options, 1);
      giveBackAfter(identity);
      return finish(compiled, entry.meta, false, entry.modelPath);
    } catch (error) {
      if (isTenonError(error, "ENGINE_PROVIDER")) throw error;
      // Either the model is bad, which the plain load below reports, or it cannot be written and read back in this form.
      await cache!.drop(identity.key);
      await cache!.writeNote(identity.key, "form", form + 1);
    }
  }
  const plain = await openPrepared(library, prepared, options, {});
  if (!options.quick) giveBackAfter(identity);
  return finish(plain, prepared, false, undefined);
}

/** Smaller models leave less behind than it costs to look for it. */
const GIVE_BACK_FROM = 16 * 2 ** 20;

function giveBackAfter({ bytes }: Identity): void {
  if (bytes >= GIVE_BACK_FROM) void giveBack();
}

function pick({ labels, findings }: Prepared): Pick<CompiledMeta, "labels" | "findings"> {
  return { labels, findings };
}

const WEIGHTS_BESIDE = {
  "session.optimized_model_external_initializers_file_name": "weights.bin",
  "session.optimized_model_external_initializers_min_size_in_bytes": SHARED_WEIGHT_BYTES,
} as const;

/**
 * Forms of a compiled model, the best first: some models would hold packed weights at places where the kernels cannot
 * read them, some with subgraphs cannot be read back with weights beside them.
 */
const FORMS: readonly Readonly<Record<string, string>>[] = [
  { ...WEIGHTS_BESIDE, "session.save_external_prepacked_constant_initializers": "1" },
  WEIGHTS_BESIDE,
  {},
];

/** Indices of the forms that have not failed before for this key. */
async function usableForms(cache: ModelCache, key: string): Promise<number[]> {
  const from = (await cache.readNote<number>(key, "form")) ?? 0;
  return FORMS.map((_, form) => form).slice(from);
}

/** The threads of one run meet after every operator: waking them each time would cost more than a moment's spinning. */
const BRIEF_SPIN = { "session.intra_op.allow_spinning": "1", "session.intra_op.spin_duration_us": "50" };

function openCompiled(
  library: OrtLibrary,
  path: string,
  options: BuildOptions,
  threads: number,
): Promise<OrtSession> {
  // Already optimised when it was written.
  return createSession(library, path, {
    threads,
    optimization: "none",
    config: threads === 1 ? options.config : { ...BRIEF_SPIN, ...options.config },
    providers: options.providers,
  });
}

/** Packing copies every weight before the first run; without it kernels read them where they lie. */
const QUICK = { ...BRIEF_SPIN, "session.disable_prepacking": "1" } as const;

function openPrepared(
  library: OrtLibrary,
  prepared: Prepared,
  options: BuildOptions,
  extra: Partial<SessionOptions>,
): Promise<OrtSession> {
  return createSession(library, prepared.source, {
    threads: options.quick ? usableCores() : 1,
    optimization: options.optimization,
    providers: options.providers,
    ...extra,
    config: {
      ...(options.quick ? QUICK : {}),
      ...options.config,
      ...prepared.config,
      ...extra.config,
    },
  });
}

function withLabels(signature: Signature, meta: Pick<CompiledMeta, "labels">): Signature {
  return {
    inputs: signature.inputs,
    outputs: signature.outputs.map((output) => {
      const labels = Object.hasOwn(meta.labels, output.name) ? meta.labels[output.name] : undefined;
      if (labels === undefined) return output;
      return {
        ...output,
        labels: labels.map((label) => (typeof label === "string" ? label : BigInt(label.int64))),
      };
    }),
  };
}
