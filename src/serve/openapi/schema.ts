/** Pieces of JSON Schema, and objects whose members are those of a type. */

/** A schema of JSON Schema 2020-12, as OpenAPI 3.1 has it. */
export type Schema = Readonly<Record<string, unknown>>;

export const TEXT: Schema = { type: "string" };
export const FLAG: Schema = { type: "boolean" };
export const NUMBER: Schema = { type: "number" };
export const COUNT: Schema = { type: "integer", minimum: 0 };

export function listOf(items: Schema, minItems = 0): Schema {
  return { type: "array", items, ...(minItems > 0 ? { minItems } : {}) };
}

export function orNull(schema: Schema): Schema {
  return { anyOf: [schema, { type: "null" }] };
}

export function refTo(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

/** An object with exactly the members of `T`, all of them but `optional` always there: what the server writes. */
export function written<T>(
  members: { readonly [K in keyof T]-?: Schema },
  optional: readonly (keyof T)[] = [],
): Schema {
  const required = (Object.keys(members) as (keyof T)[]).filter((name) => !optional.includes(name));
  return { type: "object", properties: members, required, additionalProperties: false };
}

/** An object that a client sends: it must have `required`, and what is not named is ignored. */
export function asked(members: Readonly<Record<string, Schema>>, required: readonly string[] = []): Schema {
  return { type: "object", properties: members, ...(required.length > 0 ? { required } : {}) };
}
