/**
 * Which plans of polars may be run in windows: those that make each row of one row of a Parquet file. Read from what
 * `serialize("json")` of nodejs-polars 0.24.1 writes, which is no stable format: whatever is not known here is not allowed.
 */

/** A plan that can be run for some rows of its file. */
export interface LocalPlan {
  /** The Parquet file that it scans. */
  readonly path: string;
  /** True when rows may be left out. */
  readonly filtered: boolean;
  /** The plan for `rows` rows of the file, from `row` on. */
  window(row: number, rows: number): string;
  /** The scan alone, without rows. */
  readonly scan: string;
}

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** The plan where it is local, or what keeps it from that. */
export function inspectPlan(text: string): LocalPlan | { readonly because: string } {
  let node: Json;
  try {
    node = JSON.parse(text) as Json;
  } catch {
    return { because: "a plan that is no JSON" };
  }
  let filtered = false;
  for (;;) {
    const [name, body] = tagged(node);
    if (name === "Scan") break;
    const input = NODES[name]?.(body);
    if (input === undefined) return { because: name };
    if (input.because !== null) return { because: `${input.because} in ${name}` };
    filtered ||= name === "Filter";
    node = input.node;
  }
  const scanned = localFile(node);
  if ("because" in scanned) return { because: `${scanned.because} in Scan` };
  // Cut out as text, since numbers of 64 bits do not survive being parsed and written.
  const scan = JSON.stringify(node);
  const [before, after, ...more] = text.split(scan);
  if (after === undefined || more.length > 0) return { because: "a Scan written in another way" };
  return {
    path: scanned.path,
    filtered,
    window: (row, rows) => before + sliced(scan, row, rows) + after,
    scan: sliced(scan, 0, 0),
  };
}

function sliced(scan: string, row: number, rows: number): string {
  return `{"Slice":{"input":${scan},"offset":${row},"len":${rows}}}`;
}

const ROOM = '"options":{"run_parallel":true,"duplicate_check":true,"should_broadcast":true}';

/** The plan with these columns alone. */
export function withColumns(plan: string, names: readonly string[]): string {
  return selected(
    plan,
    names.map((Column) => JSON.stringify({ Column })),
  );
}

/** The plan with a row that tells how many it would have. */
export function countOf(plan: string): string {
  return selected(plan, ['"Len"']);
}

function selected(plan: string, expressions: readonly string[]): string {
  return `{"Select":{"expr":[${expressions.join(",")}],"input":${plan},${ROOM}}}`;
}

/** Name and content of `{"Name": content}` or `"Name"`. */
function tagged(value: Json): readonly [string, Json] {
  if (typeof value === "string") return [value, null];
  const entries = entriesOf(value);
  return entries?.length === 1 ? entries[0]! : ["something unnamed", null];
}

function entriesOf(value: Json): [string, Json][] | null {
  return value === null || typeof value !== "object" || Array.isArray(value) ? null : Object.entries(value);
}

/** The values of an object of these keys and no others, else null. */
function partsOf(value: Json, keys: readonly string[]): Json[] | null {
  const entries = entriesOf(value);
  if (entries?.length !== keys.length) return null;
  const found = keys.map((key) => entries.find(([name]) => name === key)?.[1]);
  return found.every((each) => each !== undefined) ? found : null;
}

const STRANGE = "an unknown form";

interface Step {
  readonly node: Json;
  readonly because: string | null;
}

/** Nodes that make each row of one row, by name: what they work on, and what keeps them from being local. */
const NODES: Readonly<Record<string, (body: Json) => Step>> = {
  Filter: (body) => {
    const parts = partsOf(body, ["input", "predicate"]);
    return parts === null ? strange(body) : { node: parts[0]!, because: reasonOfAll([parts[1]!]) };
  },
  Select: (body) => stepOf(body, "expr", true),
  HStack: (body) => stepOf(body, "exprs", false),
  // Around a plan whose columns were asked for: what polars then keeps does not travel, only `dsl` does.
  IR: (body) => {
    const parts = partsOf(body, ["dsl", "version"]);
    return parts === null || !Number.isInteger(parts[1]) ? strange(body) : { node: parts[0]!, because: null };
  },
};
Object.setPrototypeOf(NODES, null);

function strange(node: Json): Step {
  return { node, because: STRANGE };
}

function stepOf(body: Json, key: string, alone: boolean): Step {
  const parts = partsOf(body, ["input", key, "options"]);
  if (parts === null) return strange(body);
  const [node, expressions, options] = parts as [Json, Json, Json];
  const flags = partsOf(options, ["run_parallel", "duplicate_check", "should_broadcast"]);
  if (flags === null || flags[2] !== true || !Array.isArray(expressions)) return strange(body);
  const all = expressions as readonly Json[];
  return { node, because: alone ? reasonOfAll(all) : reasonOf(all) };
}

/** As `reasonOf`, for expressions that tell how many rows there are: literals alone are one row. */
function reasonOfAll(expressions: readonly Json[]): string | null {
  return reasonOf(expressions) ?? (expressions.some(readsColumn) ? null : "literals alone");
}

function readsColumn(value: Json): boolean {
  if (value === null || typeof value !== "object") return false;
  return Object.entries(value).some(([key, each]) => key === "Column" || readsColumn(each as Json));
}

/** Deeper plans are not read by polars either. */
const MAX_DEPTH = 128;

/** Why these expressions are not of one row each, or null. */
function reasonOf(expressions: readonly (Json | undefined)[], depth = 0): string | null {
  if (depth > MAX_DEPTH) return "an expression that is nested too deeply";
  for (const expression of expressions) {
    if (expression === undefined) return STRANGE;
    const [name, body] = tagged(expression);
    const found = EXPRESSIONS[name]?.(body);
    if (found === undefined) return name === "Function" ? functionName(body) : name;
    if (found === null) return `${name} of an unknown form`;
    const because = reasonOf(found, depth + 1);
    if (because !== null) return because;
  }
  return null;
}

/** Expressions whose value in a row is told by that row, by name: those within, or null for a form that is not known. */
const EXPRESSIONS: Readonly<Record<string, (body: Json) => readonly Json[] | null | undefined>> = {
  Column: (body) => (typeof body === "string" ? [] : null),
  Literal: (body) => {
    const parts = partsOf(body, ["Scalar"]);
    return parts !== null && LITERALS.has(tagged(parts[0]!)[0]) ? [] : null;
  },
  Alias: (body) =>
    Array.isArray(body) && body.length === 2 && typeof body[1] === "string" ? [body[0] as Json] : null,
  Cast: (body) => {
    const parts = partsOf(body, ["expr", "dtype", "options"]);
    if (parts === null || typeof parts[2] !== "string" || !CASTS.has(parts[2])) return null;
    const type = partsOf(parts[1]!, ["Literal"])?.[0];
    return typeof type === "string" && TYPES.has(type) ? [parts[0]!] : null;
  },
  BinaryExpr: (body) => {
    const parts = partsOf(body, ["left", "op", "right"]);
    if (parts === null || typeof parts[1] !== "string" || !OPERATORS.has(parts[1])) return null;
    return [parts[0]!, parts[2]!];
  },
  Ternary: (body) => partsOf(body, ["predicate", "truthy", "falsy"]),
  Function: (body) => {
    const parts = partsOf(body, ["input", "function"]);
    const name = parts === null ? undefined : partsOf(parts[1]!, ["Boolean"])?.[0];
    if (typeof name !== "string" || !FUNCTIONS.has(name)) return undefined;
    const input = parts![0]!;
    return Array.isArray(input) && input.length === 1 ? input : null;
  },
};
Object.setPrototypeOf(EXPRESSIONS, null);

/** Function, as messages name it. */
function functionName(body: Json): string {
  const called = partsOf(body, ["input", "function"])?.[1];
  if (called === undefined) return STRANGE;
  const [name, within] = tagged(called);
  return name === "Boolean" ? tagged(within)[0] : name;
}

const FUNCTIONS = new Set(["Not", "IsNull", "IsNotNull"]);
const CASTS = new Set(["Strict", "NonStrict"]);
const OPERATORS = new Set([
  ...["Eq", "EqValidity", "NotEq", "NotEqValidity", "Lt", "LtEq", "Gt", "GtEq"],
  ...["Plus", "Minus", "Multiply", "Divide", "RustDivide", "TrueDivide", "FloorDivide", "Modulus"],
  ...["And", "Or", "Xor", "LogicalAnd", "LogicalOr"],
]);
/** Types without categories, whose numbers depend on the rows before. */
const TYPES = new Set([
  ...["Boolean", "String", "Binary", "Date", "Time"],
  ...["Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64"],
]);
const LITERALS = new Set([...TYPES, "Null", "Datetime", "Duration"]);

const BOTH = ["true", "false"];

/** What arguments of a scan may be, as JSON, for all that 0.24.1 writes. */
const SCAN: Readonly<Record<string, readonly string[]>> = {
  schema: ["null"],
  cloud_options: ["null"],
  hive_options: ["null", "false"].flatMap((enabled) =>
    BOTH.map((dates) => `{"enabled":${enabled},"hive_start_idx":0,"schema":null,"try_parse_dates":${dates}}`),
  ),
  rechunk: BOTH,
  cache: BOTH,
  glob: BOTH,
  hidden_file_prefix: ["null"],
  projection: ["null"],
  column_mapping: ["null"],
  default_values: ["null"],
  row_index: ["null"],
  pre_slice: ["null"],
  cast_columns_policy: [
    '{"integer_upcast":false,"float_upcast":false,"float_downcast":false,"datetime_nanoseconds_downcast":false,' +
      '"datetime_microseconds_downcast":false,"datetime_convert_timezone":false,"null_upcast":true,' +
      '"categorical_to_string":false,"missing_struct_fields":"Raise","extra_struct_fields":"Raise"}',
  ],
  missing_columns_policy: ['"Raise"'],
  extra_columns_policy: ['"Raise"'],
  include_file_paths: ["null"],
  deletion_files: ["null"],
  table_statistics: ["null"],
  row_count: ["null"],
};

const PARQUET: Readonly<Record<string, readonly string[]>> = {
  schema: ["null"],
  parallel: ['"Auto"', '"Columns"', '"RowGroups"', '"Prefiltered"', '"None"'],
  low_memory: BOTH,
  use_statistics: BOTH,
};

/** The one local Parquet file of a scan. */
function localFile(scan: Json): { readonly path: string } | { readonly because: string } {
  const [sources, given, type] =
    partsOf(tagged(scan)[1], ["sources", "unified_scan_args", "scan_type"]) ?? [];
  if (sources === undefined || given === undefined || type === undefined) return { because: STRANGE };
  const [format, content] = tagged(type);
  if (format !== "Parquet") return { because: format };
  const options = partsOf(content, ["options"])?.[0];
  const unfit = differing(given, SCAN) ?? differing(options ?? null, PARQUET);
  if (unfit !== null) return { because: unfit };
  const paths = partsOf(sources, ["Paths"])?.[0];
  if (!Array.isArray(paths)) return { because: tagged(sources)[0] };
  const path = paths.length === 1 ? partsOf(paths[0] as Json, ["inner"])?.[0] : undefined;
  if (typeof path !== "string") return { because: "other than one path" };
  // Patterns, URLs and homes, which polars resolves.
  if (/[*?[\]{}]|^~|^[a-z][a-z0-9+.-]+:/i.test(path)) return { because: "a path that is no plain one" };
  return { path };
}

/** The first argument that is not what it may be. */
function differing(given: Json, allowed: Readonly<Record<string, readonly string[]>>): string | null {
  const entries = entriesOf(given);
  if (entries === null) return STRANGE;
  for (const [name, value] of entries)
    if (!Object.hasOwn(allowed, name) || !allowed[name]!.includes(JSON.stringify(value))) return name;
  return entries.length === Object.keys(allowed).length ? null : STRANGE;
}
