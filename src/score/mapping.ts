/** Which columns each model input is made of: `x=f0..f15`, or the column of the input's own name. */
import { suggest, TenonError } from "../base/index.js";
import { col, matrix, pack, printType, type Schema, strings, type TensorSpec } from "../data/index.js";
import type { Signature, ValueSignature } from "../runtime/index.js";

/** Input name to columns as written: `{ x: "f0..f15" }`. */
export type Mapping = Readonly<Record<string, string>>;

/** `x=f0..f15` → `["x", "f0..f15"]`. Throws USAGE. */
export function parseMapping(texts: readonly string[]): Mapping {
  const mapping: Record<string, string> = {};
  for (const text of texts) {
    const at = text.indexOf("=");
    if (at < 1 || at === text.length - 1)
      throw new TenonError("USAGE", {
        problem: "a mapping cannot be read",
        given: text,
        expected: "INPUT=COLUMNS, such as x=f0..f15 or x=a,b,c",
      });
    const name = text.slice(0, at);
    if (Object.hasOwn(mapping, name))
      throw new TenonError("USAGE", { problem: `input "${name}" is mapped twice` });
    mapping[name] = text.slice(at + 1);
  }
  return mapping;
}

/** `a,f0..f2` → a, f0, f1, f2. A column that is named so is taken as it is. Throws USAGE. */
export function expandColumns(text: string, schema: Schema): string[] {
  return text.split(",").flatMap((part) => {
    const name = part.trim();
    if (schema.has(name)) return [name];
    const range = /^(.*?)(\d+)\.\.(.*?)(\d+)$/.exec(name);
    if (range === null) return [name];
    const [, prefix, low, otherPrefix, high] = range as unknown as [string, string, string, string, string];
    const [from, to] = [Number(low), Number(high)];
    if ((otherPrefix !== prefix && otherPrefix !== "") || to < from || to - from > 100_000)
      throw new TenonError("USAGE", {
        problem: "a range of columns cannot be read",
        given: name,
        expected: "the same name with rising numbers, such as f0..f15",
      });
    // f00..f15 counts with leading zeros.
    const digits = low.startsWith("0") && low.length === high.length ? low.length : 0;
    return Array.from(
      { length: to - from + 1 },
      (_, i) => `${prefix}${String(from + i).padStart(digits, "0")}`,
    );
  });
}

/** A spec for every input. Throws USAGE with the signature, the schema and a mapping that would work. */
export function specsFor(signature: Signature, schema: Schema, mapping: Mapping): Record<string, TensorSpec> {
  for (const name of Object.keys(mapping)) {
    if (!signature.inputs.some((input) => input.name === name)) {
      const names = signature.inputs.map((input) => input.name);
      throw new TenonError("INPUT_UNKNOWN", {
        problem: `the model has no input "${name}"`,
        expected: suggest(name, names),
      });
    }
  }
  return Object.fromEntries(
    signature.inputs.map((input) => [input.name, specFor(input, signature, schema, mapping)]),
  );
}

function specFor(input: ValueSignature, signature: Signature, schema: Schema, mapping: Mapping): TensorSpec {
  const text = mapping[input.name] ?? (schema.has(input.name) ? input.name : undefined);
  if (text === undefined) throw unmapped(`input "${input.name}" has no column`, signature, schema);
  const columns = expandColumns(text, schema);
  const missing = columns.find((name) => !schema.has(name));
  if (missing !== undefined)
    throw unmapped(`there is no column "${missing}" for input "${input.name}"`, signature, schema);
  const { dtype, dims } = input;
  const width =
    dims === undefined || dims.length < 2
      ? undefined
      : dims
          .slice(1)
          .reduce<number | null>((a, b) => (a === null || typeof b !== "number" ? null : a * b), 1);
  const first = schema.get(columns[0]!)!;
  if (dtype === "string") {
    if (
      columns.length > 1 ||
      (dims !== undefined && dims.length > 2) ||
      (typeof width === "number" && width !== 1)
    )
      throw unmapped(`text input "${input.name}" takes one column`, signature, schema);
    return strings(columns[0]!);
  }
  if (columns.length === 1 && typeof first.dtype !== "string") {
    if (typeof width !== "number")
      throw unmapped(`input "${input.name}" does not declare how many values a row has`, signature, schema);
    return matrix(columns[0]!, width, dtype);
  }
  if (columns.length === 1 && (dims === undefined || dims.length === 1)) return col(columns[0]!, dtype);
  if (typeof width === "number" && width !== columns.length)
    throw unmapped(
      `input "${input.name}" takes ${width} values a row, not ${columns.length}`,
      signature,
      schema,
    );
  const declared = (dims ?? []).slice(1).reduce<number>((a, b) => a * (typeof b === "number" ? b : 1), 1);
  if (columns.length % declared !== 0)
    throw unmapped(
      `input "${input.name}" takes a multiple of ${declared} values a row, not ${columns.length}`,
      signature,
      schema,
    );
  return pack(columns, dtype);
}

function unmapped(problem: string, signature: Signature, schema: Schema): TenonError {
  const inputs = signature.inputs.map(
    ({ name, dtype, dims }) => `${name} ${dtype} [${dims?.map((dim) => dim ?? "?").join(", ") ?? "…"}]`,
  );
  const columns = [...schema].slice(0, 40).map(([name, { dtype }]) => `${name} ${printType(dtype)}`);
  const more = schema.size > 40 ? `, and ${schema.size - 40} more` : "";
  return new TenonError("INPUT_MISSING", {
    problem,
    given: `columns ${columns.join(", ")}${more}`,
    expected: `the model's inputs: ${inputs.join("; ")}`,
    do: proposal(signature, schema),
  });
}

/** A mapping that fits: columns of one prefix counted up, or as many number columns as the input takes. */
function proposal(signature: Signature, schema: Schema): string {
  const maps = signature.inputs.map(({ name, dims }) => {
    const width = typeof dims?.[1] === "number" ? dims[1] : 1;
    const numbers = [...schema]
      .filter(([, { dtype }]) => typeof dtype === "string" && dtype !== "utf8" && dtype !== "binary")
      .map(([column]) => column);
    for (const first of numbers) {
      const match = /^(.*?)(\d+)$/.exec(first);
      if (match === null || width < 2) continue;
      const last = `${match[1]}${Number(match[2]) + width - 1}`;
      if (numbers.includes(last)) return `--map ${name}=${first}..${last}`;
    }
    return `--map ${name}=${numbers.length >= width ? numbers.slice(0, width).join(",") : "COLUMN,…"}`;
  });
  return maps.join(" ");
}
