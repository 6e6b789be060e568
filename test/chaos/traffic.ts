/** Mixed traffic on a running server: kinds of requests, each of which checks the answer that it gets. To add one, add a row. */
import { once } from "node:events";
import { gzipSync } from "node:zlib";
import { inferRequest } from "../../bench/harness/requests.js";
import { type Dice, hostileRequest } from "../fuzz/request-kinds.js";
import {
  type GrpcClient,
  inferRequest as grpcRequest,
  simpleGrpc,
  streamAnswer,
} from "../support/grpc-client.js";
import { MODELS } from "../support/models.js";
import { RawConnection, rawRequest, simpleRequest } from "../support/served.js";

/** Whom the requests go to. */
export interface Target {
  readonly url: string;
  readonly port: number;
  readonly grpc: GrpcClient;
}

/**
 * Sends one request: `right`, or the code of the error that a client may see and answer by asking again.
 * Throws for anything else: a wrong value, another status, a connection that ends.
 */
export type Ask = (target: Target, dice: Dice) => Promise<string>;

/** Errors that say: the same request may succeed later. */
const RETRIABLE: ReadonlySet<string> = new Set(["MODEL_UNAVAILABLE", "QUEUE_FULL", "RATE_LIMITED"]);

/** Codes of gRPC that say the same: UNAVAILABLE, RESOURCE_EXHAUSTED. */
const RETRIABLE_GRPC: ReadonlySet<number> = new Set([14, 8]);

/** Requests that are answered with the right values. */
export const GOOD = {
  async json({ url }, dice) {
    const start = dice.upTo(1000);
    const answer = await post(`${url}/v2/models/simple/infer`, simpleRequest(start));
    if (typeof answer === "string") return answer;
    const { outputs } = (await answer.json()) as { outputs: { data: number[] }[] };
    same(outputs[0]!.data[3], start + 4);
    same(outputs[1]!.data[3], start + 2);
    return "right";
  },
  async divide({ url }, dice) {
    const data = Array.from({ length: 4 }, () => 1 + dice.upTo(1e6));
    const inputs = [{ name: "x", datatype: "INT32", shape: [1, 4], data }];
    const answer = await post(`${url}/v2/models/divide/infer`, JSON.stringify({ inputs }));
    if (typeof answer === "string") return answer;
    const { outputs } = (await answer.json()) as { outputs: { data: number[] }[] };
    for (let i = 0; i < 4; i++) same(outputs[0]!.data[i], -data[i]!);
    return "right";
  },
  async binary({ url }, dice) {
    const seed = dice.upTo(MLP_SEEDS);
    const request = (MLP_REQUESTS[seed] ??= inferRequest("mlp", MODELS.mlp.inputs(1, seed + 1), "binary"));
    const answer = await post(`${url}${request.path}`, request.body, request.headers);
    if (typeof answer === "string") return answer;
    const bytes = Buffer.from(await answer.arrayBuffer());
    const header = Number(answer.headers.get("inference-header-content-length"));
    const row = new Float32Array(Uint8Array.from(bytes.subarray(header)).buffer);
    const first = (MLP_ANSWERS[seed] ??= row);
    same(row.length, 10);
    // Batches of other sizes round otherwise.
    row.forEach((value, i) => {
      if (!(Math.abs(value - first[i]!) <= 1e-4 * (1 + Math.abs(first[i]!)))) same(value, first[i]);
    });
    return "right";
  },
  async strings({ url }, dice) {
    const data = Array.from({ length: 3 }, () => dice.bytes(dice.upTo(40)).toString("base64"));
    const inputs = [{ name: "x", datatype: "BYTES", shape: [1, 3], data }];
    const headers = { "Content-Encoding": "gzip", "Content-Type": "application/json" };
    const body = gzipSync(JSON.stringify({ inputs }));
    const answer = await post(`${url}/v2/models/identity_BYTES/infer`, body, headers);
    if (typeof answer === "string") return answer;
    const { outputs } = (await answer.json()) as { outputs: { data: string[] }[] };
    for (const [i, text] of data.entries()) same(outputs[0]!.data[i], text);
    return "right";
  },
  async rpc({ grpc }, dice) {
    const start = dice.upTo(1000);
    try {
      const { outputs } = await grpc.infer(simpleGrpc(start));
      same(Buffer.from(outputs[0]!.raw).readInt32LE(12), start + 4);
      return "right";
    } catch (error) {
      return retriableGrpc(error);
    }
  },
  async stream({ grpc }, dice) {
    const start = dice.upTo(1000);
    const stream = grpc.stream();
    const messages: Buffer[] = [];
    stream.on("data", (bytes: Buffer) => void messages.push(bytes));
    stream.on("error", () => undefined);
    const ended = once(stream, "end");
    for (let i = 0; i < 3; i++) stream.write(grpcRequest(simpleGrpc(start + i, { id: String(i) })));
    stream.end();
    await ended;
    same(messages.length, 3);
    const answers = messages.map(streamAnswer);
    // The answers of one stream come as they are ready.
    for (const { error, answer } of answers) {
      if (error === "")
        same(Buffer.from(answer!.outputs[0]!.raw).readInt32LE(12), start + Number(answer!.id) + 4);
    }
    return answers.every(({ error }) => error === "") ? "right" : "MODEL_UNAVAILABLE";
  },
} as const satisfies Record<string, Ask>;

/** What else comes to a server: questions, mistakes, attacks, clients that leave, models that are replaced. */
export const OTHERS = {
  async questions({ url }, dice) {
    const path = dice.pick([
      "/v2",
      "/v2/health/ready",
      "/v2/models/mlp",
      "/v2/models/stats",
      "/v2/models/simple/ready",
    ]);
    const answer = await fetch(url + path);
    await answer.arrayBuffer();
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status}`);
    return "right";
  },
  async mistakes({ url }, dice) {
    const body = dice.pick([simpleRequest(1).slice(1), simpleRequest(1).replace("INT32", "FP32"), "", "[]"]);
    const answer = await fetch(`${url}/v2/models/simple/infer`, { method: "POST", body });
    await answer.arrayBuffer();
    if (answer.status !== 400) throw new Error(`a mistake was answered with ${answer.status}`);
    return "400";
  },
  async hostile({ port }, dice) {
    const { bytes, answers } = hostileRequest(dice);
    using connection = await RawConnection.open(port);
    connection.write(bytes);
    if (answers === 0) return "left";
    const answer = await connection.answer();
    if (answer === undefined) throw new Error("a hostile request got no answer");
    if (answer.status === 500) throw new Error(`status 500: ${answer.body}`);
    return answer.status < 400 ? "right" : String(answer.status);
  },
  async leaves({ port }, dice) {
    using connection = await RawConnection.open(port);
    const whole = rawRequest("/v2/models/simple/infer", simpleRequest(dice.upTo(9)));
    connection.write(whole.subarray(0, 1 + dice.upTo(whole.length)));
    return "left";
  },
  async reload({ url }) {
    const answer = await fetch(`${url}/v2/repository/models/again/load`, { method: "POST" });
    await answer.arrayBuffer();
    if (answer.status !== 200) throw new Error(`the reload was answered with ${answer.status}`);
    return "right";
  },
  /** A value that ends its process; each is another, as the same one would be refused. */
  async poison({ url }, dice) {
    const data = [-(2 ** 31), dice.upTo(2 ** 31), dice.upTo(2 ** 31), dice.upTo(2 ** 31)];
    const inputs = [{ name: "x", datatype: "INT32", shape: [1, 4], data }];
    const answer = await fetch(`${url}/v2/models/divide/infer`, {
      method: "POST",
      body: JSON.stringify({ inputs }),
    });
    const text = await answer.text();
    const code = answer.headers.get("x-tenon-error") ?? "";
    if (!(code === "MODEL_CRASHED" || RETRIABLE.has(code)))
      throw new Error(`a poison was answered with ${answer.status}: ${text}`);
    return code;
  },
} as const satisfies Record<string, Ask>;

const MLP_SEEDS = 32;
const MLP_REQUESTS: ReturnType<typeof inferRequest>[] = [];
const MLP_ANSWERS: Float32Array[] = [];

/** The answer, or the code of an error that allows to ask again. */
async function post(
  url: string,
  body: string | Buffer,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response | string> {
  const answer = await fetch(url, { method: "POST", body, headers });
  if (answer.status === 200) return answer;
  const code = answer.headers.get("x-tenon-error") ?? "";
  const text = await answer.text();
  if (!RETRIABLE.has(code)) throw new Error(`status ${answer.status} ${code}: ${text}`);
  return code;
}

function retriableGrpc(error: unknown): string {
  const { code } = error as { code?: number };
  if (code === undefined || !RETRIABLE_GRPC.has(code)) throw error;
  return `gRPC ${code}`;
}

function same(got: unknown, expected: unknown): void {
  if (got !== expected) throw new Error(`wrong value ${got} instead of ${expected}`);
}
