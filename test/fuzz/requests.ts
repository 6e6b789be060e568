/** The request fuzzer: seeded hostile requests over HTTP and gRPC against the real `tenon serve`, and what must hold for every answer. */

import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { collect, firstLine, startCli } from "../support/cli.js";
import { GrpcClient, simpleGrpc } from "../support/grpc-client.js";
import { seededRandom } from "../support/random.js";
import {
  DATATYPES,
  identityModel,
  RawConnection,
  rawRequest,
  send,
  simpleModel,
  simpleRequest,
} from "../support/served.js";
import { hostileCall } from "./call-kinds.js";
import { HostileCaller } from "./caller.js";
import { Dice, hostileRequest } from "./request-kinds.js";

export interface RequestFuzzOptions {
  readonly protocol: Protocol;
  readonly seed: number;
  /** Ends at whichever comes first. */
  readonly minutes: number;
  readonly most: number;
  readonly onProgress?: (report: RequestFuzzReport) => void;
}

export interface RequestFuzzReport {
  requests: number;
  /** How often each status came; `none` where none had to come. */
  readonly statuses: Map<string, number>;
  /** What must not happen, with the number of the request that does it again. */
  readonly defects: string[];
  /** Milliseconds of the slowest good request that was sent in between. */
  slowestMs: number;
}

/** Every status that the protocol of this server has for a bad request; 500 is not one. */
const ALLOWED = new Set([200, 204, 400, 403, 404, 405, 408, 413, 417, 431, 501, 503]);
const CLIENTS = 8;
/** How long a request that need not be answered is given. */
const PATIENCE_MS = 40;
/** A complete request without an answer for so long hangs. */
const HANG_MS = 60_000;
/** A good request after so many hostile ones. */
const CONTROL_EVERY = 100;

/** What is fuzzed: one hostile request of a number, with a client of its own for each of those that go on side by side. */
const PROTOCOLS = {
  http: { client: httpClient, control },
  grpc: { client: grpcClient, control: controlCall },
} as const satisfies Readonly<Record<string, Side>>;

export type Protocol = keyof typeof PROTOCOLS;

interface Ports {
  readonly http: number;
  readonly grpc: number;
}

interface Side {
  readonly client: (
    ports: Ports,
    seed: number,
    report: RequestFuzzReport,
  ) => { readonly one: (number: number) => Promise<void>; readonly close: () => void };
  readonly control: (ports: Ports, number: number, report: RequestFuzzReport) => Promise<void>;
}

/** Runs the fuzzer and ends the server. The same seed sends the same requests. */
export async function fuzzRequests(options: RequestFuzzOptions): Promise<RequestFuzzReport> {
  const folder = mkdtempSync(join(tmpdir(), "tenon-fuzz-"));
  const models = join(folder, "models");
  mkdirSync(models);
  writeFileSync(join(models, "simple.onnx"), simpleModel());
  for (const datatype of [
    "BOOL",
    "UINT8",
    "INT8",
    "FP16",
    "BF16",
    "FP32",
    "FP64",
    "INT64",
    "BYTES",
  ] as const) {
    writeFileSync(join(models, `identity_${datatype}.onnx`), identityModel(DATATYPES[datatype]));
  }
  // Their loads are no part of it.
  const env = {
    TENON_CACHE: "off",
    TENON_HTTP_PORT: "0",
    TENON_REQUEST_TIMEOUT: "2s",
    TENON_HEADERS_TIMEOUT: "2s",
  };
  const child = startCli(["serve", models, "--json", "--spare", "none"], { cwd: folder, env, timeout: 0 });
  const stderr = collect(child.stderr);
  const report: RequestFuzzReport = { requests: 0, statuses: new Map(), defects: [], slowestMs: 0 };
  try {
    const { url, grpcPort } = JSON.parse(await firstLine(child)) as { url: string; grpcPort: number };
    const ports: Ports = { http: Number(new URL(url).port), grpc: grpcPort };
    const { client: makeClient, control: controlled } = PROTOCOLS[options.protocol];
    const end = performance.now() + options.minutes * 60_000;
    let next = 0;
    const client = async (): Promise<void> => {
      const { one, close } = makeClient(ports, options.seed, report);
      while (
        next < options.most &&
        performance.now() < end &&
        child.exitCode === null &&
        report.defects.length < 20
      ) {
        const number = next++;
        await one(number);
        report.requests++;
        if (number % CONTROL_EVERY === 0) await controlled(ports, number, report);
        if (number % 5000 === 4999) options.onProgress?.(report);
      }
      close();
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    await controlled(ports, next, report);
    if (child.exitCode !== null || child.signalCode !== null) report.defects.push("the server ended");
    const complaint = /"level":"error".*/.exec(stderr());
    if (complaint !== null) report.defects.push(`the log has an error: ${complaint[0].slice(0, 500)}`);
    child.kill("SIGTERM");
    const [code] = await once(child, "close");
    if (code !== 0) report.defects.push(`the server ended with ${code}`);
  } finally {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  }
  return report;
}

function httpClient({ http }: Ports, seed: number, report: RequestFuzzReport): ReturnType<Side["client"]> {
  return { one: (number) => one(http, seed, number, report), close: () => undefined };
}

function grpcClient({ grpc }: Ports, seed: number, report: RequestFuzzReport): ReturnType<Side["client"]> {
  const caller = new HostileCaller(grpc);
  const one = async (number: number): Promise<void> => {
    const hostile = hostileCall(diceOf(seed, number));
    const outcome = await within(caller.call(hostile), HANG_MS);
    const defect = outcome === "late" ? "no status" : outcome.defect;
    count(report, outcome === "late" ? "none" : outcome.status);
    if (defect !== undefined) report.defects.push(`call ${number} (${hostile.kind}): ${defect}`);
  };
  return { one, close: () => caller.close() };
}

function diceOf(seed: number, number: number): Dice {
  return new Dice(seededRandom(seed * 1_000_003 + number));
}

/** Sends request `number` of `seed` and looks at what comes back. */
async function one(port: number, seed: number, number: number, report: RequestFuzzReport): Promise<void> {
  const { kind, bytes, answers, leaves } = hostileRequest(diceOf(seed, number));
  const defect = (what: string): void => void report.defects.push(`request ${number} (${kind}): ${what}`);
  const connection = await RawConnection.open(port).catch(() => undefined);
  if (connection === undefined) {
    defect("no connection");
    return;
  }
  using open = connection;
  open.write(bytes);
  if (leaves === true) {
    count(report, "left");
    return;
  }
  try {
    for (let i = 0; i < Math.max(1, answers); i++) {
      let answer = await within(open.answer(), answers > 0 ? HANG_MS : PATIENCE_MS);
      if (answer !== "late" && answer?.status === 100) answer = await within(open.answer(), HANG_MS);
      if (answer === "late" || answer === undefined) {
        if (answers > 0) defect(answer === "late" ? "no answer" : "closed without an answer");
        count(report, "none");
        return;
      }
      count(report, String(answer.status));
      if (!ALLOWED.has(answer.status))
        defect(`status ${answer.status}: ${answer.body.toString().slice(0, 200)}`);
      if (answer.status >= 400 && typeof JSON.parse(answer.body.toString()).error !== "string")
        defect("no error text");
      // The rest of a pipeline is not served behind a refusal that closes.
      if (answer.headers.get("connection") === "close") return;
    }
  } catch (error) {
    defect(error instanceof Error ? error.message : String(error));
  }
}

async function within<T>(promise: Promise<T>, milliseconds: number): Promise<T | "late"> {
  const ended = new AbortController();
  const late = sleep(milliseconds, "late" as const, { signal: ended.signal }).catch(() => "late" as const);
  try {
    return await Promise.race([promise, late]);
  } finally {
    ended.abort();
  }
}

function count(report: RequestFuzzReport, status: string): void {
  report.statuses.set(status, (report.statuses.get(status) ?? 0) + 1);
}

/** A good request must be answered right, whatever came before. */
async function control({ http }: Ports, number: number, report: RequestFuzzReport): Promise<void> {
  const startedAt = performance.now();
  const answer = await within(
    send(http, rawRequest("/v2/models/simple/infer", simpleRequest(number % 50))),
    HANG_MS,
  ).catch(() => undefined);
  report.slowestMs = Math.max(report.slowestMs, performance.now() - startedAt);
  if (answer === undefined || answer === "late" || answer.status !== 200) {
    report.defects.push(`the good request after ${number} was not served`);
    return;
  }
  const { outputs } = JSON.parse(answer.body.toString()) as { outputs: { data: number[] }[] };
  if (outputs[0]!.data[1] !== (number % 50) + 2)
    report.defects.push(`the good request after ${number} got wrong values`);
}

async function controlCall({ grpc }: Ports, number: number, report: RequestFuzzReport): Promise<void> {
  const startedAt = performance.now();
  using client = new GrpcClient(grpc);
  const answer = await within(client.infer(simpleGrpc(number % 50)), HANG_MS).catch(() => undefined);
  report.slowestMs = Math.max(report.slowestMs, performance.now() - startedAt);
  if (answer === undefined || answer === "late") {
    report.defects.push(`the good call after ${number} was not served`);
  } else if (Buffer.from(answer.outputs[0]!.raw).readInt32LE(4) !== (number % 50) + 2) {
    report.defects.push(`the good call after ${number} got wrong values`);
  }
}
