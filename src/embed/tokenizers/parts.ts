/** Reading the parts of a tokenizer.json: checked access to foreign JSON, and the refusal of what is not known. */
import { TenonError } from "../../base/index.js";

export type Part = Readonly<Record<string, unknown>>;

/** The refusal of a component or setting that these tokenizers do not have. */
export function unsupported(component: string, cause?: unknown): TenonError {
  return new TenonError("TOKENIZER_UNSUPPORTED", {
    given: component,
    details: { component },
    ...(cause === undefined ? {} : { cause }),
  });
}

export function invalid(problem: string): TenonError {
  return new TenonError("FILE_INVALID", { problem: `tokenizer.json: ${problem}` });
}

export function isPart(value: unknown): value is Part {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The component at `key`; undefined for null or absent. */
export function partAt(part: Part, key: string): Part | undefined {
  const value = part[key];
  if (value === null || value === undefined) return undefined;
  if (!isPart(value)) throw invalid(`"${key}" is not an object`);
  return value;
}

const DEEPEST = 32;

/** The component at `key`, whose parts do not hold each other so deeply that reading them would take the stack. */
export function componentAt(file: Part, key: string): Part | undefined {
  const open: (readonly [value: unknown, depth: number])[] = [[file[key], 0]];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [value, depth] = next;
    if (typeof value !== "object" || value === null) continue;
    if (depth > DEEPEST) throw invalid(`"${key}" nests too deeply`);
    for (const inner of Object.values(value)) open.push([inner, depth + 1]);
  }
  return partAt(file, key);
}

export function listAt(part: Part, key: string): readonly unknown[] {
  const value = part[key];
  if (!Array.isArray(value)) throw invalid(`"${key}" is not a list`);
  return value;
}

export function partsAt(part: Part, key: string): readonly Part[] {
  return listAt(part, key).map((value) => {
    if (!isPart(value)) throw invalid(`"${key}" holds something that is not an object`);
    return value;
  });
}

export function typeOf(part: Part): string {
  return textAt(part, "type");
}

export function textAt(part: Part, key: string, otherwise?: string): string {
  const value = part[key] ?? otherwise;
  if (typeof value !== "string") throw invalid(`"${key}" is not a string`);
  return value;
}

export function flagAt(part: Part, key: string, otherwise: boolean): boolean {
  const value = part[key] ?? otherwise;
  if (typeof value !== "boolean") throw invalid(`"${key}" is neither true nor false`);
  return value;
}

export function countAt(part: Part, key: string, otherwise?: number): number {
  const value = part[key] ?? otherwise;
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0)
    throw invalid(`"${key}" is not a count`);
  return value;
}
