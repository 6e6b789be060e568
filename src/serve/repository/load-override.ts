/** What a load request brings along: a configuration and files in place of the repository's own. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { TenonError } from "../../base/index.js";

export interface LoadOverride {
  /** The configuration as protobuf's JSON; it replaces the file's. */
  readonly config: string;
  /** Contents by their paths in the model's folder, such as `1/model.onnx`; they replace all files. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/** `file:<version>/<path>`. */
const FILE = "file:";
/** A version, then names that lead nowhere else. */
const PATH = /^[1-9][0-9]{0,8}(\/[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}){1,4}$/;

/** The override that the parameters of a load request make up; undefined for none. Throws REQUEST_INVALID. */
export function overrideOf(
  parameters: ReadonlyMap<string, unknown>,
  bytesOf: (key: string, value: unknown) => Uint8Array,
): LoadOverride | undefined {
  let config: string | undefined;
  const files = new Map<string, Uint8Array>();
  for (const [key, value] of parameters) {
    if (key.startsWith(FILE)) {
      const path = key.slice(FILE.length);
      if (!PATH.test(path)) {
        throw invalid(
          `failed to load: '${key.slice(0, 128)}' is no file of a version, such as 'file:1/model.onnx'`,
        );
      }
      files.set(path, bytesOf(key, value));
    } else if (key === "config") {
      if (typeof value !== "string")
        throw invalid("parameter 'config' has invalid type. It should be a string.");
      config = value;
    } else if (typeof value !== "string") {
      throw invalid(`parameter '${key.slice(0, 64)}' has invalid type. It should be a string.`);
    }
  }
  if (config !== undefined) return { config, files };
  if (files.size === 0) return undefined;
  throw invalid("failed to load: override files need the parameter 'config' beside them");
}

function invalid(problem: string): TenonError {
  return new TenonError("REQUEST_INVALID", { problem });
}

/** Files of an override on disk, for as long as their model may need them. */
export class OverrideFolder {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async write(files: LoadOverride["files"]): Promise<OverrideFolder> {
    const folder = new OverrideFolder(await mkdtemp(join(tmpdir(), "tenon-override-")));
    try {
      for (const [path, bytes] of files) {
        await mkdir(dirname(join(folder.path, path)), { recursive: true });
        await writeFile(join(folder.path, path), bytes, { flag: "wx" });
      }
      return folder;
    } catch (error) {
      await folder.remove();
      throw error;
    }
  }

  /** The versions in it, the newest first. */
  versions(files: LoadOverride["files"]): { version: string; path: string }[] {
    const versions = new Set([...files.keys()].map((path) => path.slice(0, path.indexOf("/"))));
    return [...versions]
      .sort((a, b) => Number(b) - Number(a))
      .map((version) => ({
        version,
        path: files.has(`${version}/model.onnx/model.onnx`)
          ? join(this.path, version, "model.onnx/model.onnx")
          : join(this.path, version, "model.onnx"),
      }));
  }

  remove(): Promise<void> {
    return rm(this.path, { recursive: true, force: true });
  }
}
