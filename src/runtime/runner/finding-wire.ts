/** Findings of preflight on their way from a model process: every field checked. */
import { FINDINGS, type Finding } from "../../onnx/findings.js";

const FIELDS = ["problem", "where", "given", "limit", "do"] as const;
const SEVERITIES: readonly unknown[] = ["error", "warning", "note"];
const LONGEST = 1024;
const MOST = 4096;

/** Findings that are none are dropped. */
export function findingsFromJson(json: unknown): readonly Finding[] {
  return Array.isArray(json) ? json.slice(0, MOST).flatMap(findingFrom) : [];
}

function findingFrom(json: unknown): readonly Finding[] {
  if (typeof json !== "object" || json === null) return [];
  const given = json as Readonly<Record<string, unknown>>;
  const { code, severity } = given;
  if (typeof code !== "string" || !Object.hasOwn(FINDINGS, code) || !SEVERITIES.includes(severity)) return [];
  const texts = FIELDS.map((field) => [field, String(given[field] ?? "").slice(0, LONGEST)]);
  // Complete: code and severity were checked, and FIELDS names the others.
  return [{ code, severity, ...Object.fromEntries(texts) } as Finding];
}
