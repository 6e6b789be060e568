/** The table of claims: printed, and written into docs/benchmarks.md between its markers. */
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Finding } from "./bench.js";

const DOCUMENT = join(resolve(import.meta.dirname, "../../.."), "docs", "benchmarks.md");
const BEGIN = "<!-- results: begin -->";
const END = "<!-- results: end -->";

export function verdict(finding: Finding): string {
  if (finding.met === null) return "reported";
  return finding.met ? "met" : "missed";
}

export function markdownTable(findings: readonly Finding[]): string {
  const rows = findings.map((f) => [f.claim, f.target, f.measured, verdict(f)]);
  const head = ["claim", "target", "measured", "verdict"];
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** Replaces the results in docs/benchmarks.md. */
export function writeResults(machine: string, effort: string, findings: readonly Finding[]): void {
  const text = readFileSync(DOCUMENT, "utf8");
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`docs/benchmarks.md has lost its markers ${BEGIN} … ${END}`);
  const date = new Date().toISOString().slice(0, 10);
  const body = `\n${date}, ${machine}.\n${effort}.\n\n${markdownTable(findings)}\n\n`;
  writeFileSync(DOCUMENT, text.slice(0, begin + BEGIN.length) + body + text.slice(end));
}

/** 0.0123 → "0.0123", 12.345 → "12.3", 12345 → "12345": three digits, never an exponent. */
export function short(x: number): string {
  if (!Number.isFinite(x)) return String(x);
  const size = Math.abs(x);
  if (size >= 100) return x.toFixed(0);
  if (size >= 10) return x.toFixed(1);
  if (size >= 1) return x.toFixed(2);
  return x.toPrecision(2);
}

export function times(ratio: number): string {
  return `${ratio.toFixed(ratio >= 10 ? 1 : 2)}×`;
}

/** 100000 → "100,000". */
export function formatThousands(count: number): string {
  return count.toLocaleString("en-US");
}
