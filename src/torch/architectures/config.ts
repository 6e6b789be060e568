/** A model's `config.json`, read field by field: what is given is checked, what is left out has the reference's default. */
import { readFileSync, statSync } from "node:fs";
import { formatBytes, suggest } from "../../base/index.js";
import { damaged, quoted, unsupported } from "../invalid.js";
import { parseJson } from "../json.js";
import type { Json, JsonObject } from "../json-value.js";

const MAX_CONFIG = 16 * 2 ** 20;
/** Larger counts are no sizes of a network. */
const MAX_SIZE = 2 ** 31;
const MAX_LAYERS = 2000;

/** The fields of one object of a config. A field that is `null` counts as left out. */
export class Config {
  /** Where the object stands, for messages: `config.json`, `config.json, text_config`. */
  readonly where: string;
  readonly #fields: JsonObject;

  constructor(fields: JsonObject, where: string) {
    this.#fields = fields;
    this.where = where;
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  /** Whether a field is there and null, for fields where that is not the same as left out. */
  isNull(key: string): boolean {
    return this.#fields.get(key) === null;
  }

  get(key: string): Json | undefined {
    return this.#fields.get(key) ?? undefined;
  }

  keys(): string[] {
    return [...this.#fields.keys()];
  }

  /** The same with the fields of another in front. */
  with(over: Config): Config {
    return new Config(
      new Map([...this.#entries(), ...over.#entries().filter(([, value]) => value !== null)]),
      this.where,
    );
  }

  /** The same with fields under other names. */
  renamed(names: Readonly<Record<string, string>>): Config {
    return new Config(new Map(this.#entries().map(([key, value]) => [names[key] ?? key, value])), this.where);
  }

  #entries(): [string, Json][] {
    return this.keys().flatMap((key): [string, Json][] => {
      const value = this.#fields.get(key);
      return value === undefined ? [] : [[key, value]];
    });
  }

  /** A positive count. */
  size(key: string, fallback?: number): number {
    const value = this.#required(key, fallback);
    if (typeof value === "number" && Number.isInteger(value) && value > 0 && value < MAX_SIZE) return value;
    throw this.wrong(key, "a positive whole number");
  }

  /** A positive number of layers, small enough to be real. */
  layers(key: string, fallback?: number): number {
    const count = this.size(key, fallback);
    if (count > MAX_LAYERS) throw this.wrong(key, `at most ${MAX_LAYERS} layers`);
    return count;
  }

  /** A whole number that may be zero or negative (an id). */
  whole(key: string, fallback?: number): number {
    const value = this.#required(key, fallback);
    if (typeof value === "number" && Number.isSafeInteger(value)) return value;
    throw this.wrong(key, "a whole number");
  }

  number(key: string, fallback?: number): number {
    const value = this.#required(key, fallback);
    if (typeof value === "number" && Number.isFinite(value)) return value;
    throw this.wrong(key, "a number");
  }

  flag(key: string, fallback?: boolean): boolean {
    const value = this.#required(key, fallback);
    if (typeof value === "boolean") return value;
    throw this.wrong(key, "true or false");
  }

  text(key: string, fallback?: string): string {
    const value = this.#required(key, fallback);
    if (typeof value === "string") return value;
    throw this.wrong(key, "a text");
  }

  list(key: string): readonly Json[] | undefined {
    const value = this.get(key);
    if (value === undefined || Array.isArray(value)) return value;
    throw this.wrong(key, "a list");
  }

  /** An object inside; undefined when it is left out. */
  object(key: string): Config | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    if (typeof value === "object" && !Array.isArray(value) && value !== null)
      return new Config(value as JsonObject, `${this.where}, ${key}`);
    throw this.wrong(key, "an object");
  }

  /** One of the texts of a table. */
  oneOf<T extends string>(key: string, allowed: readonly T[], fallback?: T): T {
    const value = this.text(key, fallback);
    if ((allowed as readonly string[]).includes(value)) return value as T;
    throw unsupported(`${this.where}: ${key} has a value that is not supported`, {
      given: quoted(value),
      expected: suggest(value, allowed),
    });
  }

  /** Refuses a field unless it is left out or has one of these values: anything else would change the numbers. */
  only(key: string, ...allowed: readonly Json[]): void {
    const value = this.get(key);
    if (value === undefined || allowed.includes(value)) return;
    if (allowed.length === 0 && typeof value === "object" && sizeOf(value) === 0) return;
    throw unsupported(`${this.where}: ${key} is not supported`, {
      given: show(value),
      expected: allowed.length === 0 ? "the field left out" : allowed.map(show).join(" or "),
    });
  }

  wrong(key: string, expected: string): Error {
    const value = this.get(key);
    return damaged(`${this.where}: ${key} is ${value === undefined ? "missing" : "no such value"}`, {
      ...(value === undefined ? {} : { given: show(value) }),
      expected,
    });
  }

  #required(key: string, fallback: Json | undefined): Json {
    const value = this.get(key) ?? fallback;
    if (value === undefined) throw this.wrong(key, "a value");
    return value;
  }
}

function sizeOf(value: Json): number {
  if (Array.isArray(value)) return value.length;
  return typeof value === "object" && value !== null ? (value as JsonObject).size : 1;
}

function show(value: Json): string {
  if (typeof value === "string") return quoted(value);
  if (Array.isArray(value))
    return `[${value.slice(0, 8).map(show).join(", ")}${value.length > 8 ? ", …" : ""}]`;
  if (typeof value === "object" && value !== null) return `{${[...value.keys()].slice(0, 8).join(", ")}}`;
  return String(value);
}

/** Reads a JSON object from a file. Throws FILE_NOT_FOUND or FILE_INVALID. */
export function readConfig(path: string, what: string): Config {
  const { size } = statSync(path);
  if (size > MAX_CONFIG)
    throw damaged(`${what} is too large`, {
      given: formatBytes(size),
      expected: `at most ${formatBytes(MAX_CONFIG)}`,
    });
  const value = parseJson(readFileSync(path), what, { nonFinite: true });
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return new Config(value as JsonObject, what);
  throw damaged(`${what} holds no object`, { given: path });
}
