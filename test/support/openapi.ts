/** Answers checked against the OpenAPI document of their server. */
import assert from "node:assert/strict";
import { Ajv2020 } from "ajv/dist/2020.js";

interface Answered {
  readonly description: string;
  readonly content?: Readonly<Record<string, { readonly schema: object }>>;
}

export interface OpenApi {
  readonly openapi: string;
  readonly paths: Readonly<
    Record<string, Readonly<Record<string, { readonly responses: Readonly<Record<string, Answered>> }>>>
  >;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

export async function fetchOpenApi(url: string, headers: Record<string, string> = {}): Promise<OpenApi> {
  const answer = await fetch(`${url}/openapi.json`, { headers });
  assert.equal(answer.status, 200);
  return (await answer.json()) as OpenApi;
}

/** `GET /v2` and so on, in order. */
export function operationsOf({ paths }: OpenApi): string[] {
  return Object.entries(paths)
    .flatMap(([path, verbs]) => Object.keys(verbs).map((verb) => `${verb.toUpperCase()} ${path}`))
    .sort();
}

/** Asserts that status, media type and body of an answer are in the document; returns the status. */
export async function conform(document: OpenApi, operation: string, answer: Response): Promise<number> {
  const [verb, path] = operation.split(" ") as [string, string];
  const { status } = answer;
  const told = document.paths[path]![verb.toLowerCase()]!.responses[status];
  const text = await answer.text();
  assert.ok(told, `${operation} answers ${status}, which is not in the document: ${text.slice(0, 200)}`);
  const type = answer.headers.get("content-type");
  if (told.content === undefined) {
    assert.deepEqual([type, text], [null, ""], operation);
    return status;
  }
  assert.ok(type !== null && Object.hasOwn(told.content, type), `${operation} ${status} is ${type}`);
  if (type === "application/json")
    assertValid(document, told.content[type]!.schema, JSON.parse(text), operation);
  return status;
}

/** Asserts that every schema of the document is one. */
export function assertSchemas(document: OpenApi): void {
  const names = Object.keys(document.components.schemas);
  assert.ok(names.length > 10);
  const ajv = new Ajv2020({ strictSchema: true, strictTypes: false }).addVocabulary(["components"]);
  ajv.addSchema({ $id: "openapi", components: document.components });
  for (const name of names) assert.ok(ajv.getSchema(`openapi#/components/schemas/${name}`), name);
}

function assertValid(document: OpenApi, schema: object, value: unknown, what: string): void {
  const ajv = new Ajv2020({ strict: false });
  const valid = ajv.validate({ ...schema, components: document.components }, value);
  assert.ok(valid, `${what}: ${ajv.errorsText()} in ${JSON.stringify(value).slice(0, 400)}`);
}
