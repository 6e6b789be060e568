/** A request's JSON and its fields, checked one by one. */
import { TenonError } from "../../base/index.js";
import { bodyLimit } from "../http/body.js";
import type { Exchange } from "../http/exchange.js";
import { readJsonBody } from "../http/json-body.js";
import type { TextInput } from "./model.js";

export type Fields = Readonly<Record<string, unknown>>;

/** The object that a body holds. Throws REQUEST_INVALID, REQUEST_TOO_LARGE. */
export async function readFields(exchange: Exchange): Promise<Fields> {
  const body = await readJsonBody(exchange, bodyLimit(exchange.exchanges.settings, false));
  let value: unknown;
  try {
    value = JSON.parse(body.toString("utf8"));
  } catch {
    throw invalid("the body is not JSON");
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw invalid("the body is no JSON object");
}

export function invalid(problem: string, field?: string): TenonError {
  return new TenonError("REQUEST_INVALID", { problem, details: field === undefined ? {} : { field } });
}

/** A field that may be left out or null. */
function given(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields, name) ? (fields[name] ?? undefined) : undefined;
}

export function flagOf(fields: Fields, name: string, fallback: boolean): boolean {
  const value = given(fields, name);
  if (value === undefined) return fallback;
  if (typeof value === "boolean") return value;
  throw invalid(`\`${name}\` is neither true nor false`, name);
}

export function textOf(fields: Fields, name: string): string | undefined {
  const value = given(fields, name);
  if (value === undefined || typeof value === "string") return value;
  throw invalid(`\`${name}\` is no string`, name);
}

export function neededText(fields: Fields, name: string): string {
  const value = textOf(fields, name);
  if (value !== undefined) return value;
  throw invalid(`\`${name}\` is missing`, name);
}

export function countOf(fields: Fields, name: string): number | undefined {
  const value = given(fields, name);
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 1) return value;
  throw invalid(`\`${name}\` is no whole number from 1 on`, name);
}

export function choiceOf<T extends string>(fields: Fields, name: string, choices: readonly T[]): T {
  const value = given(fields, name);
  if (value === undefined) return choices[0]!;
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  throw invalid(`\`${name}\` is none of ${choices.join(", ")}`, name);
}

export function textsOf(fields: Fields, name: string): readonly string[] {
  const value = given(fields, name);
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  throw invalid(`\`${name}\` is no array of strings`, name);
}

const isIds = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.length > 0 && value.every((item) => Number.isInteger(item));

/** One text, one list of tokens, or an array of texts or of lists. */
export function inputsOf(
  fields: Fields,
  name: string,
): { readonly inputs: readonly TextInput[]; readonly single: boolean } {
  const value = given(fields, name);
  if (typeof value === "string") return { inputs: [value], single: true };
  if (isIds(value)) return { inputs: [value], single: true };
  if (Array.isArray(value) && value.every((item) => typeof item === "string" || isIds(item)))
    return { inputs: value, single: false };
  throw invalid(
    value === undefined
      ? `\`${name}\` is missing`
      : `\`${name}\` is neither a string, an array of strings, nor token ids`,
    name,
  );
}

/** The value of a name in the query of the URL. */
export function queryOf(exchange: Exchange, name: string): string | undefined {
  const url = exchange.req.url ?? "";
  const at = url.indexOf("?");
  return at < 0 ? undefined : (new URLSearchParams(url.slice(at)).get(name) ?? undefined);
}
