/** Compiled-model cache: models optimised once by ONNX Runtime, weights beside them in a file that processes share. */
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, open, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { emit, KNOBS, makeFolder } from "../base/index.js";
import type { Finding } from "../onnx/index.js";

/** Raised when the layout of an entry or the way it is built changes. */
const FORMAT = 3;

/** What Tenon itself remembers of a compiled model. */
export interface CompiledMeta {
  readonly format: number;
  /** Class labels by output name, of a ZipMap that was removed. */
  readonly labels: Readonly<Record<string, readonly (string | { readonly int64: string })[]>>;
  /** What preflight found when the model was compiled, so that the file is not read again. */
  readonly findings: readonly Finding[];
}

/** One compiled model on disk. */
export interface CompiledEntry {
  readonly folder: string;
  readonly modelPath: string;
  readonly meta: CompiledMeta;
}

/** The folder that `TENON_CACHE` names, else the platform's own place; false where it says `off`. */
export function defaultCacheFolder(env: NodeJS.ProcessEnv = process.env): string | false {
  const folder = env.TENON_CACHE ? KNOBS.cache.parse(env.TENON_CACHE) : KNOBS.cache.default;
  return folder === "off" ? false : folder;
}

let machine: Promise<string> | undefined;

/** The kernels that a compiled model was prepared for. */
export function machineKey(): Promise<string> {
  machine ??= readMachineKey();
  return machine;
}

async function readMachineKey(): Promise<string> {
  let flags = "";
  if (process.platform === "linux") {
    try {
      flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(await readFile("/proc/cpuinfo", "utf8"))?.[1] ?? "";
    } catch {
      flags = ""; // the model name below still tells machines apart
    }
  }
  return createHash("sha256")
    .update(`${process.platform} ${process.arch} ${cpus()[0]?.model ?? ""} ${flags}`)
    .digest("hex")
    .slice(0, 16);
}

export class ModelCache {
  readonly folder: string;
  readonly #maxBytes: number;

  private constructor(folder: string, maxBytes: number) {
    this.folder = folder;
    this.#maxBytes = maxBytes;
  }

  /** Opens the cache in `folder`; when that cannot be written, in a private temporary folder; else undefined, with a warning event. */
  static async open(folder: string, maxBytes: number): Promise<ModelCache | undefined> {
    for (const candidate of [folder, undefined]) {
      try {
        const used = candidate ?? (await mkdtemp(join(tmpdir(), "tenon-")));
        await makeFolder(join(used, "compiled"), 0o700);
        const probe = join(used, `.probe-${randomBytes(6).toString("hex")}`);
        await writeFile(probe, "", { mode: 0o600 });
        await rm(probe);
        return new ModelCache(used, maxBytes);
      } catch (error) {
        emit("engine:warning", {
          code: "CACHE_UNWRITABLE",
          message: `the cache folder ${candidate ?? tmpdir()} cannot be written (${(error as NodeJS.ErrnoException).code ?? "error"})`,
        });
      }
    }
    return undefined;
  }

  /** Where remembered hashes of model files lie. */
  get hashFolder(): string {
    return join(this.folder, "hashes");
  }

  entryFolder(key: string): string {
    return join(this.folder, "compiled", key);
  }

  /** The entry of a key; undefined when there is none or it is damaged (it is then removed). Marks it as used. */
  async find(key: string): Promise<CompiledEntry | undefined> {
    const folder = this.entryFolder(key);
    try {
      const meta = JSON.parse(await readFile(join(folder, "meta.json"), "utf8")) as CompiledMeta & {
        files: Record<string, number>;
      };
      if (meta.format !== FORMAT) throw new Error("another format");
      for (const [name, size] of Object.entries(meta.files)) {
        if ((await stat(join(folder, name))).size !== size) throw new Error("another size");
      }
      const now = new Date();
      await utimes(folder, now, now).catch(() => undefined);
      return { folder, modelPath: join(folder, "model.onnx"), meta };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") await this.drop(key);
      return undefined;
    }
  }

  /** Removes an entry, for instance one that ONNX Runtime refused to load. */
  async drop(key: string): Promise<void> {
    await rm(this.entryFolder(key), { recursive: true, force: true }).catch(() => undefined);
  }

  /**
   * Makes an entry: `build` writes `model.onnx` (and what belongs to it) into a temporary sibling, which takes its
   * place by rename when everything has reached the disk. Readers never see half an entry.
   */
  async add(
    key: string,
    meta: Omit<CompiledMeta, "format">,
    build: (folder: string) => Promise<void>,
  ): Promise<CompiledEntry> {
    const folder = this.entryFolder(key);
    const temporary = `${folder}.${process.pid}.${randomBytes(6).toString("hex")}`;
    await makeFolder(temporary, 0o700);
    try {
      await build(temporary);
      const files: Record<string, number> = {};
      for (const name of await readdir(temporary)) {
        files[name] = (await stat(join(temporary, name))).size;
        await synced(join(temporary, name));
      }
      const complete = { format: FORMAT, ...meta, files };
      await writeFile(join(temporary, "meta.json"), JSON.stringify(complete), { mode: 0o600 });
      await synced(join(temporary, "meta.json"));
      await rename(temporary, folder).catch(async (error: NodeJS.ErrnoException) => {
        // Another process was first; its entry is as good.
        if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
      });
      void this.#evict().catch(() => undefined);
      return { folder, modelPath: join(folder, "model.onnx"), meta: complete };
    } finally {
      await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    }
  }

  /** Removes the entries that were used longest ago until the cache fits its bound. */
  async #evict(): Promise<void> {
    const root = join(this.folder, "compiled");
    const entries: { folder: string; bytes: number; usedAt: number }[] = [];
    for (const name of await readdir(root)) {
      const folder = join(root, name);
      const info = await stat(folder).catch(() => undefined);
      if (info === undefined) continue;
      let bytes = 0;
      for (const file of await readdir(folder).catch(() => [])) {
        bytes += (await stat(join(folder, file)).catch(() => undefined))?.size ?? 0;
      }
      entries.push({ folder, bytes, usedAt: info.mtimeMs });
    }
    let total = entries.reduce((sum, entry) => sum + entry.bytes, 0);
    for (const entry of entries.sort((a, b) => a.usedAt - b.usedAt)) {
      if (total <= this.#maxBytes) return;
      await rm(entry.folder, { recursive: true, force: true });
      total -= entry.bytes;
    }
  }

  /** Reads a small JSON file beside an entry; undefined when it is absent or damaged. */
  async readNote<T>(key: string, name: string): Promise<T | undefined> {
    try {
      return JSON.parse(await readFile(join(this.folder, "notes", `${key}-${name}.json`), "utf8")) as T;
    } catch {
      return undefined;
    }
  }

  /** Writes a small JSON file about an entry; failures only cost time later. */
  async writeNote(key: string, name: string, value: unknown): Promise<void> {
    const file = join(this.folder, "notes", `${key}-${name}.json`);
    const temporary = `${file}.${process.pid}.${randomBytes(6).toString("hex")}`;
    try {
      await makeFolder(join(this.folder, "notes"), 0o700);
      await writeFile(temporary, JSON.stringify(value), { mode: 0o600 });
      await rename(temporary, file);
    } catch {
      await rm(temporary, { force: true }).catch(() => undefined);
    }
  }
}

async function synced(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
