/** How a command fails: code, problem, given, expected, do; no stack unless debugging; JSON for machines. */
import { CommanderError } from "commander";
import { TenonError, toTenonError } from "../base/index.js";
import { EXIT, exitCodeOf } from "./exit-codes.js";
import { note, styled, toJson } from "./terminal.js";

export interface FailureStyle {
  readonly json: boolean;
  /** Adds stacks and causes. */
  readonly debug: boolean;
}

/** A command that has said all itself, and only ends with a code. */
const SAID = "tenon.said";

/** What a command throws to end with a code and no message. */
export function endWith(code: number): CommanderError {
  return new CommanderError(code, SAID, "");
}

/** Prints the failure on stderr and tells the exit code. Help and version texts end in commander errors too: code 0. */
export function reportFailure(error: unknown, style: FailureStyle): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return EXIT.done;
    if (error.code === SAID) return error.exitCode;
    // No command given: commander has printed the help text.
    if (error.code === "commander.help") return EXIT.usage;
    return reportFailure(usageError(error), style);
  }
  const ours = toTenonError(error);
  note(style.json ? toJson({ error: asRecord(ours) }) : describe(ours));
  if (style.debug && !style.json) note(chain(error));
  return exitCodeOf(ours);
}

/** Commander's own text, whose did-you-mean stands in brackets on a second line. */
function usageError(error: CommanderError): TenonError {
  const [problem, hint] = error.message.replace(/^error: /, "").split("\n");
  return new TenonError("USAGE", {
    problem: problem!.replace(/\.$/, ""),
    ...(hint === undefined ? { do: "see --help" } : { expected: hint.replace(/^\((.*)\)$/, "$1") }),
  });
}

function describe(error: TenonError): string {
  const lines = [`${styled("red", "error", process.stderr)} ${error.code}: ${error.problem}`];
  if (error.given !== undefined) lines.push(`  given:    ${error.given}`);
  if (error.expected !== undefined) lines.push(`  expected: ${error.expected}`);
  if (error.do !== undefined) lines.push(`  do:       ${error.do}`);
  // An error that is not ours has its whole story in its cause.
  if (error.code === "INTERNAL" && error.cause instanceof Error)
    lines.push(`  cause:    ${error.cause.message}`);
  return lines.join("\n");
}

function asRecord(error: TenonError): Record<string, unknown> {
  const { code, problem, given, expected, do: advice } = error;
  return { code, problem, given, expected, do: advice };
}

function chain(error: unknown): string {
  const stacks: string[] = [];
  for (let current = error; current !== undefined && stacks.length < 8; ) {
    stacks.push(current instanceof Error ? (current.stack ?? current.message) : String(current));
    current = current instanceof Error ? current.cause : undefined;
  }
  return stacks.join("\ncaused by: ");
}
