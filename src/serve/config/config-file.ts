/** ConfigFile: a model's configuration as it was given, with the place of every field for errors. */
import { readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { type ErrorCode, emit, TenonError } from "../../base/index.js";
import type { DecodedOf } from "../protobuf/table.js";
import { readMessageJson } from "./message-json.js";
import { ModelConfig } from "./messages.js";
import { Places, parsePbtxt } from "./pbtxt.js";

export type Config = DecodedOf<typeof ModelConfig>;

/** Largest file, in bytes. */
const MOST_BYTES = 1 << 20;

export class ConfigFile {
  readonly model: string;
  readonly config: Config;
  /** Where label files and warm-up data lie. */
  readonly folder: string;
  readonly #places: Places;

  private constructor(model: string, config: Config, folder: string, places: Places) {
    this.model = model;
    this.config = config;
    this.folder = folder;
    this.#places = places;
  }

  /** Reads `config.pbtxt` at `path`. Throws CONFIG_INVALID or FILE_NOT_FOUND. */
  static async read(path: string, model: string): Promise<ConfigFile> {
    const places = new Places(`${model}/config.pbtxt`);
    const found = await stat(path).catch((cause: unknown) => {
      throw new TenonError("FILE_NOT_FOUND", { problem: `${places.file} cannot be read`, cause });
    });
    if (found.size > MOST_BYTES) {
      throw new TenonError("CONFIG_INVALID", {
        problem: `${places.file} is larger than ${MOST_BYTES} bytes`,
      });
    }
    const config = parsePbtxt(ModelConfig, await readFile(path, "utf8"), places);
    return new ConfigFile(model, config, dirname(path), places);
  }

  /** Reads the JSON form, as load requests carry it. Throws CONFIG_INVALID. */
  static fromJson(text: string, model: string, folder: string): ConfigFile {
    const what = `the config given for ${model}`;
    return new ConfigFile(model, readMessageJson(ModelConfig, text, what), folder, new Places(what));
  }

  /** `net/config.pbtxt:3:5`. */
  place(field: string, message: object = this.config): string {
    return this.#places.of(message, field);
  }

  /** An error at a field. */
  error(
    code: ErrorCode,
    problem: string,
    field: string,
    message: object = this.config,
    expected?: string,
  ): TenonError {
    return new TenonError(code, {
      problem: `${this.place(field, message)}: ${problem}`,
      ...(expected === undefined ? {} : { expected }),
      details: { field },
    });
  }

  invalid(problem: string, field: string, message?: object, expected?: string): TenonError {
    return this.error("CONFIG_INVALID", problem, field, message, expected);
  }

  warn(field: string, text: string, message?: object): void {
    emit("model:warning", {
      model: this.model,
      code: "CONFIG_FIELD",
      message: `${this.place(field, message)}: ${text}`,
    });
  }
}
