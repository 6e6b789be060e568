/**
 * The legality table: which ops exist at which opset, with their inputs, outputs and attributes (spec.data.ts).
 *
 * Grammar of a row's texts. Inputs and outputs: `name:type`, `name?:type` optional, `name*N:type` variadic with at
 * least N, `~` after N when the types may differ. Attributes: `name:kind`, `name!:kind` required, `=default`.
 * Type variables: `T=index` into TYPE_SETS. Flags: deprecated, nondeterministic, function (has a body in the schema).
 */
import type { AttrKind } from "./graph.js";
import { SPEC_ROWS, type SpecRow, TYPE_SETS } from "./spec.data.js";
import { ORT_ROWS } from "./spec.ort.js";

export interface Formal {
  readonly name: string;
  readonly option: "required" | "optional" | "variadic";
  /** Least number of values, for a variadic one. */
  readonly least: number;
  /** All values of a variadic one have the same type. */
  readonly homogeneous: boolean;
  /** A type (`f32`, `seq(f32)`) or a type variable. */
  readonly type: string;
}

export interface AttrSpec {
  readonly kind: AttrKind;
  readonly required: boolean;
  /** As text; lists are joined by commas. */
  readonly default?: string;
}

export interface OpRow {
  readonly domain: string;
  readonly op: string;
  /** The first opset version for which this row holds. */
  readonly since: number;
  readonly inputs: readonly Formal[];
  readonly outputs: readonly Formal[];
  readonly attrs: ReadonlyMap<string, AttrSpec>;
  /** Allowed types (`f32`, `seq(f32)`, …) by type variable. */
  readonly variables: ReadonlyMap<string, ReadonlySet<string>>;
  readonly deprecated: boolean;
  readonly nondeterministic: boolean;
  readonly hasBody: boolean;
}

/** Least and most values that a list of formals takes. */
export function arityOf(formals: readonly Formal[]): { readonly least: number; readonly most: number } {
  let least = 0;
  formals.forEach((formal, i) => {
    if (formal.option === "required") least = i + 1;
    else if (formal.option === "variadic" && formal.least > 0) least = i + formal.least;
  });
  const last = formals.at(-1);
  return { least, most: last?.option === "variadic" ? Number.POSITIVE_INFINITY : formals.length };
}

interface Entry {
  readonly since: number;
  readonly row: SpecRow;
  parsed?: OpRow;
}

/** Rows of each op, newest first. */
let index: Map<string, Entry[]> | undefined;

function entriesByName(): Map<string, Entry[]> {
  if (index !== undefined) return index;
  index = new Map();
  for (const row of [...SPEC_ROWS, ...ORT_ROWS]) {
    const entry: Entry = { since: row[1], row };
    const entries = index.get(row[0]);
    if (entries === undefined) index.set(row[0], [entry]);
    else entries.push(entry);
  }
  for (const entries of index.values()) entries.sort((a, b) => b.since - a.since);
  return index;
}

/** The row that holds for an op when its domain is imported at `opset`; undefined when there is none. */
export function opRow(domain: string, op: string, opset: number): OpRow | undefined {
  const entries = entriesByName().get(domain === "" ? op : `${domain}:${op}`);
  const entry = entries?.find(({ since }) => since <= opset);
  if (entry === undefined) return undefined;
  entry.parsed ??= parseRow(entry.row);
  return entry.parsed;
}

/** First opset of the op, whatever the opset imported; undefined when no version of it is known. */
export function introducedIn(domain: string, op: string): number | undefined {
  return entriesByName()
    .get(domain === "" ? op : `${domain}:${op}`)
    ?.at(-1)?.since;
}

/** Names of the ops of a domain. */
export function opsOf(domain: string): string[] {
  const prefix = `${domain}:`;
  return [...entriesByName().keys()]
    .filter((name) => (domain === "" ? !name.includes(":") : name.startsWith(prefix)))
    .map((name) => (domain === "" ? name : name.slice(prefix.length)));
}

/** True when the table lists the domain's ops completely, so that an op without a row does not exist. */
export function isListed(domain: string): boolean {
  return domain === "" || domain === "ai.onnx.ml";
}

/** Every row, parsed. */
export function allRows(): OpRow[] {
  return [...SPEC_ROWS, ...ORT_ROWS].map(parseRow);
}

function parseRow(row: SpecRow): OpRow {
  const [fullName, since, inputs = "", outputs = "", attrs = "", variables = "", flags = ""] = row;
  const colon = fullName.lastIndexOf(":");
  const flagSet = new Set(words(flags));
  return {
    domain: colon < 0 ? "" : fullName.slice(0, colon),
    op: fullName.slice(colon + 1),
    since,
    inputs: words(inputs).map(parseFormal),
    outputs: words(outputs).map(parseFormal),
    attrs: new Map(words(attrs).map(parseAttr)),
    variables: new Map(words(variables).map(parseVariable)),
    deprecated: flagSet.has("deprecated"),
    nondeterministic: flagSet.has("nondeterministic"),
    hasBody: flagSet.has("function"),
  };
}

function words(text: string): string[] {
  return text === "" ? [] : text.split(" ");
}

function parseFormal(word: string): Formal {
  const match = /^([^:?*~]+)(\?)?(?:\*(\d+)(~)?)?:(.+)$/.exec(word);
  if (match === null) throw new TypeError(`bad formal in the spec table: ${word}`);
  const [, name, optional, least, differing, type] = match;
  return {
    name: name!,
    option: least !== undefined ? "variadic" : optional !== undefined ? "optional" : "required",
    least: Number(least ?? 0),
    homogeneous: differing === undefined,
    type: type!,
  };
}

function parseAttr(word: string): [string, AttrSpec] {
  const match = /^([^:!]+)(!)?:([a-z]+)(?:=(.*))?$/.exec(word);
  if (match === null) throw new TypeError(`bad attribute in the spec table: ${word}`);
  const [, name, required, kind, fallback] = match;
  return [
    name!,
    {
      kind: kind as AttrKind,
      required: required !== undefined,
      ...(fallback === undefined ? {} : { default: fallback }),
    },
  ];
}

const parsedSets = new Map<number, ReadonlySet<string>>();

function parseVariable(word: string): [string, ReadonlySet<string>] {
  const [name, index] = word.split("=") as [string, string];
  const at = Number(index);
  let set = parsedSets.get(at);
  if (set === undefined) {
    set = new Set(words(TYPE_SETS[at]!));
    parsedSets.set(at, set);
  }
  return [name, set];
}
