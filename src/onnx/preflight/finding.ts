/** What preflight can find: one row a code, with how much it weighs for models of known and of unknown authors. */
import { type ErrorCode, TenonError } from "../../base/index.js";

/** `pinned`: the operator vouches for the file. `untrusted`: its author may mean harm. */
export type Trust = "pinned" | "untrusted";

/** `error` refuses the model; a `warning` would for an untrusted one; a `note` is worth knowing. */
export type Severity = "error" | "warning" | "note";

/** Raised with the rules: what passed older ones is examined again. */
export const PREFLIGHT_VERSION = 2;

interface Row extends Readonly<Record<Trust, Severity>> {
  /** Code of the error that refuses the model. */
  readonly error: ErrorCode & ("MODEL_INVALID" | "MODEL_UNSUPPORTED");
  /** One clause, in plain words. */
  readonly problem: string;
  readonly do: string;
}

const REEXPORT = "export the model again with a current exporter";
const UNTRUSTED_ONLY = { pinned: "warning", untrusted: "error" } as const;
const ALWAYS = { pinned: "error", untrusted: "error" } as const;
const NOTE = { pinned: "note", untrusted: "note" } as const;
const INVALID = "MODEL_INVALID";
const UNSUPPORTED = "MODEL_UNSUPPORTED";

/**
 * Every finding. What ends or corrupts the process of ONNX Runtime, or can never load, is refused always; what costs
 * memory or time, or what ONNX Runtime refuses by itself, only from untrusted authors.
 */
export const FINDINGS = {
  FILE_FORMAT: {
    ...ALWAYS,
    error: INVALID,
    problem: "the file cannot be read as an ONNX model",
    do: "copy the file again, or export it again",
  },
  EXTERNAL_DATA: {
    ...ALWAYS,
    error: INVALID,
    problem: "the weights that lie in other files break a rule",
    do: "keep the data files beside the model, as regular files with one name",
  },
  EXTERNAL_UNRESOLVED: {
    ...UNTRUSTED_ONLY,
    error: INVALID,
    problem: "weights lie in other files, which were not looked up",
    do: "load the model from its path, or give baseDir",
  },
  ARITY: {
    ...ALWAYS,
    error: INVALID,
    problem: "a node has more or fewer values than its op or function takes",
    do: REEXPORT,
  },
  EMPTY_INPUT: {
    ...ALWAYS,
    error: INVALID,
    problem: "an input that is not optional is left out",
    do: REEXPORT,
  },
  TRAILING_EMPTY: {
    ...NOTE,
    error: INVALID,
    problem: "nodes end in absent values, which are dropped before the model is loaded",
    do: "nothing",
  },
  ATTRIBUTE_RANGE: {
    ...ALWAYS,
    error: INVALID,
    problem: "an attribute is out of the range of a 32-bit integer",
    do: REEXPORT,
  },
  ATTRIBUTE_POSITIVE: {
    ...ALWAYS,
    error: INVALID,
    problem: "an attribute that must be at least 1 is not",
    do: REEXPORT,
  },
  RESIZE_LENGTH: {
    ...ALWAYS,
    error: INVALID,
    problem: "the scales or sizes of a Resize are not one per axis",
    do: REEXPORT,
  },
  FUNCTION_BODY: {
    ...ALWAYS,
    error: INVALID,
    problem: "the body of a function uses or gives a value that it does not define, or defines one twice",
    do: REEXPORT,
  },
  FUNCTION_RECURSION: {
    ...ALWAYS,
    error: INVALID,
    problem: "a function calls itself",
    do: "remove the call",
  },
  FUNCTION_DEPTH: {
    ...ALWAYS,
    error: UNSUPPORTED,
    problem: "functions call functions deeper than the stack allows",
    do: "inline the functions when exporting",
  },
  EXPANDED_NODES: {
    ...ALWAYS,
    error: UNSUPPORTED,
    problem: "with its functions expanded, the model has too many nodes",
    do: "inline the functions when exporting, or call them less",
  },
  SUBGRAPH_DEPTH: {
    ...UNTRUSTED_ONLY,
    error: UNSUPPORTED,
    problem: "graphs are nested too deep",
    do: "flatten the control flow",
  },
  NODES: {
    ...UNTRUSTED_ONLY,
    error: UNSUPPORTED,
    problem: "the model has more nodes than may be loaded",
    do: "simplify the model, or pin it if you know its author",
  },
  INITIALIZERS: {
    ...UNTRUSTED_ONLY,
    error: UNSUPPORTED,
    problem: "the model has more weights than may be loaded",
    do: "simplify the model, or pin it if you know its author",
  },
  NAME_LENGTH: {
    ...UNTRUSTED_ONLY,
    error: UNSUPPORTED,
    problem: "a name is longer than names may be",
    do: "shorten the name",
  },
  LOOP_UNBOUNDED: {
    ...UNTRUSTED_ONLY,
    error: UNSUPPORTED,
    problem: "a Loop never ends, or not in a reasonable time",
    do: "give the Loop a trip count, or a condition that changes",
  },
  LOOP_INPUT_BOUND: {
    ...NOTE,
    error: UNSUPPORTED,
    problem: "how long a Loop runs is known only when it runs",
    do: "keep the deadline of runs short",
  },
  SIZE_INPUT_BOUND: {
    ...NOTE,
    error: UNSUPPORTED,
    problem: "how large a value gets is known only when it runs",
    do: "keep the memory of the model's process and the deadline of runs short",
  },
  OUTPUT_SIZE: {
    ...UNTRUSTED_ONLY,
    error: UNSUPPORTED,
    problem: "constants of the model make a value larger than may be computed",
    do: "shrink the shape, or pin the model if you know its author",
  },
  RANK_UNDECLARED: {
    ...UNTRUSTED_ONLY,
    error: UNSUPPORTED,
    problem: "an input does not declare its rank, and requests of any rank could crash native kernels",
    do: "export the model with input shapes",
  },
  RANK: {
    ...UNTRUSTED_ONLY,
    error: UNSUPPORTED,
    problem: "a value has more dimensions than may be computed",
    do: "shrink the length of the shape",
  },
  EMPTY_DIM: {
    ...UNTRUSTED_ONLY,
    error: UNSUPPORTED,
    problem: "an op gets a value without any element, which ends the process of its kernel",
    do: "give the dimension a size, or a symbol",
  },
  EP_CONTEXT: {
    ...ALWAYS,
    error: UNSUPPORTED,
    problem: "the op EPContext loads binaries of a hardware vendor",
    do: "use the model that it was compiled from",
  },
  DOMAIN: {
    ...UNTRUSTED_ONLY,
    error: UNSUPPORTED,
    problem: "ops of this domain are not allowed",
    do: "export the model with standard ops only",
  },
  OPSET: {
    ...UNTRUSTED_ONLY,
    error: UNSUPPORTED,
    problem: "the model's opset is newer than the runtime takes",
    do: "export the model with an older opset",
  },
  IR_VERSION: {
    ...UNTRUSTED_ONLY,
    error: UNSUPPORTED,
    problem: "the model's IR version is newer than the runtime takes",
    do: "write the model with an older version of the format",
  },
  UNKNOWN_OP: {
    ...UNTRUSTED_ONLY,
    error: UNSUPPORTED,
    problem: "no op of this name exists",
    do: REEXPORT,
  },
  SPECIFICATION: {
    ...UNTRUSTED_ONLY,
    error: INVALID,
    problem: "the model breaks a rule of the ONNX specification",
    do: REEXPORT,
  },
} as const satisfies Readonly<Record<string, Row>>;

export type FindingCode = keyof typeof FINDINGS;

/** One finding on a model: plain data. */
export interface Finding {
  readonly code: FindingCode;
  readonly severity: Severity;
  /** One clause, in plain words. */
  readonly problem: string;
  /** The node, value or function; `model` for the whole. */
  readonly where: string;
  /** What was found there; empty when `problem` says it all. */
  readonly given: string;
  /** What is allowed; empty when nothing is. */
  readonly limit: string;
  /** What to do about it. */
  readonly do: string;
}

/** Names and values in a file may be long; findings are to stay readable. */
const LONGEST = 200;
/** Findings of one code beyond this number are dropped: a file may hold a hundred thousand bad nodes. */
const MOST_PER_CODE = 16;

/** Collects findings. */
export class Report {
  readonly findings: Finding[] = [];
  readonly #counts = new Map<FindingCode, number>();
  readonly #trust: Trust;

  constructor(trust: Trust) {
    this.#trust = trust;
  }

  add(code: FindingCode, where: string, given: string | number = "", limit: string | number = ""): void {
    const count = this.#counts.get(code) ?? 0;
    this.#counts.set(code, count + 1);
    if (count >= MOST_PER_CODE) return;
    const row = FINDINGS[code];
    this.findings.push({
      code,
      severity: row[this.#trust],
      problem: row.problem,
      where: short(where),
      given: short(String(given)),
      limit: String(limit),
      do: row.do,
    });
  }

  get refused(): boolean {
    return this.findings.some(({ severity }) => severity === "error");
  }
}

function short(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

/** The same findings, weighed for another trust. */
export function underTrust(findings: readonly Finding[], trust: Trust): Finding[] {
  return findings.map((finding) => ({ ...finding, severity: FINDINGS[finding.code][trust] }));
}

const ORDER: Readonly<Record<Severity, number>> = { error: 0, warning: 1, note: 2 };

/** Errors first, then warnings, then notes; otherwise as they were found. */
export function bySeverity(findings: readonly Finding[]): Finding[] {
  return [...findings].sort((a, b) => ORDER[a.severity] - ORDER[b.severity]);
}

/** The error that refuses a model with these findings: the first of them, all in `details`. undefined: none refuses. */
export function refusal(findings: readonly Finding[]): TenonError | undefined {
  const first = findings.find(({ severity }) => severity === "error");
  if (first === undefined) return undefined;
  return new TenonError(FINDINGS[first.code].error, {
    problem: `${first.problem} (${first.code}) at ${first.where}`,
    ...(first.given === "" ? {} : { given: first.given }),
    ...(first.limit === "" ? {} : { expected: first.limit }),
    do: first.do,
    details: { findings },
  });
}
