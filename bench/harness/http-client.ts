/** The load generator: closed-loop clients, or arrivals at a rate, on raw sockets with prepared requests, in a process of its own. */
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { MODELS, type ModelName, tokens } from "../../test/support/models.js";
import { seededRandom } from "../../test/support/random.js";
import { AnswerReader } from "./answer-reader.js";
import { inferRequest, type RequestFormat, wireBytes } from "./requests.js";
import { type MakeSide, numberSetting, type Sample, type Settings, type Sides, textSetting } from "./side.js";
import { Durations } from "./statistics.js";

interface Load {
  readonly port: number;
  readonly messages: readonly Buffer[];
  readonly status: number;
  /** True while another request shall be sent; called with the requests answered so far. */
  readonly more: (answered: number) => boolean;
}

/** One client for each message; resolves once no more requests are wanted and all are answered. */
async function load({ port, messages, status, more }: Load): Promise<Durations> {
  const durations = new Durations();
  let sent = 0;
  const client = (message: Buffer): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket: Socket = connect({ port, host: "127.0.0.1", noDelay: true });
      let since = 0;
      const next = (): void => {
        if (!more(sent)) {
          socket.end();
          resolve();
          return;
        }
        sent++;
        since = performance.now();
        socket.write(message);
      };
      const reader = new AnswerReader((got) => {
        if (got !== status) {
          socket.destroy();
          reject(new Error(`status ${got} instead of ${status}`));
          return;
        }
        durations.add(performance.now() - since);
        next();
      });
      socket.on("connect", next);
      socket.on("data", (chunk: Buffer) => {
        try {
          reader.take(chunk);
        } catch (error) {
          socket.destroy();
          reject(error as Error);
        }
      });
      socket.on("error", reject);
      socket.on("close", () => reject(new Error("the server closed the connection")));
    });
  await Promise.all(messages.map(client));
  return durations;
}

/** Tokens of texts as a server gets them: few, mostly, and some very many. Mean 67, every client has one length. */
const LENGTHS = [
  6, 8, 9, 11, 12, 14, 16, 18, 20, 23, 26, 29, 32, 36, 40, 44, 48, 53, 58, 64, 70, 77, 85, 93, 102, 112, 124,
  138, 155, 178, 210, 256,
];

function messagesOf(settings: Settings): Buffer[] {
  const port = numberSetting(settings, "port");
  const model = textSetting(settings, "model") as ModelName;
  const format = textSetting(settings, "format") as RequestFormat;
  return Array.from({ length: numberSetting(settings, "clients") }, (_, client) => {
    const length = settings.mixed === true ? LENGTHS[client % LENGTHS.length]! : undefined;
    const inputs = length === undefined ? MODELS[model].inputs(1, client + 1) : tokens(1, length, client + 1);
    return wireBytes(inferRequest(model, inputs, format), `127.0.0.1:${port}`);
  });
}

const client: MakeSide = async () => {
  let messages: { key: string; buffers: Buffer[] } = { key: "", buffers: [] };
  return {
    async measure(settings): Promise<Sample> {
      const key = JSON.stringify([
        ...[settings.port, settings.model, settings.format, settings.clients],
        settings.mixed ?? false,
      ]);
      if (messages.key !== key) messages = { key, buffers: messagesOf(settings) };
      const start = performance.now();
      const seconds = numberSetting(settings, "seconds");
      const port = numberSetting(settings, "port");
      const end = start + 1000 * seconds;
      const durations =
        settings.rate === undefined
          ? await load({ port, messages: messages.buffers, status: 200, more: () => performance.now() < end })
          : await arrive({
              port,
              messages: messages.buffers,
              rate: numberSetting(settings, "rate"),
              seconds,
            });
      return { items: durations.count, wallMs: performance.now() - start, ...durations.summary() };
    },
    async close() {},
  };
};

interface Arrivals {
  readonly port: number;
  readonly messages: readonly Buffer[];
  /** Mean arrivals in a second. */
  readonly rate: number;
  readonly seconds: number;
}

/** So many connections that requests wait in the server, not here. */
const OPEN_CONNECTIONS = 512;

/** What is not answered by then fails the measurement: the server takes less than the rate. */
const OPEN_GRACE_MS = 30_000;

/**
 * Requests arrive at exponential distances whether or not earlier ones are answered (an open loop; Schroeder et al.,
 * "Open Versus Closed", NSDI 2006). A request's time counts from when it was due and this process first could send it:
 * to wait for a free connection counts, the millisecond grid of this process's timers does not.
 */
async function arrive({ port, messages, rate, seconds }: Arrivals): Promise<Durations> {
  const durations = new Durations();
  const random = seededRandom(7);
  const waiting: number[] = [];
  const free: (() => void)[] = [];
  const sockets: Socket[] = [];
  let failure: Error | undefined;
  const open = (message: Buffer): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true });
      sockets.push(socket);
      let since = 0;
      const send = (): void => {
        since = waiting.shift()!;
        socket.write(message);
      };
      const reader = new AnswerReader((status) => {
        if (status !== 200) failure ??= new Error(`status ${status} instead of 200`);
        durations.add(performance.now() - since);
        if (waiting.length > 0) send();
        else free.push(send);
      });
      socket.on("connect", () => {
        free.push(send);
        resolve();
      });
      socket.on("data", (chunk: Buffer) => reader.take(chunk));
      socket.on("error", reject);
      socket.on("close", () => (failure ??= new Error("the server closed the connection")));
    });
  await Promise.all(Array.from({ length: OPEN_CONNECTIONS }, (_, i) => open(messages[i % messages.length]!)));
  const start = performance.now();
  let due = 0;
  let sent = 0;
  while (failure === undefined) {
    const now = performance.now();
    for (; due <= now - start && due < 1000 * seconds; due -= (1000 / rate) * Math.log(1 - random())) {
      sent++;
      waiting.push(now);
      free.pop()?.();
    }
    if (due >= 1000 * seconds && durations.count === sent) break;
    if (now - start > 1000 * seconds + OPEN_GRACE_MS)
      failure = new Error(`${sent - durations.count} of ${sent} requests have no answer`);
    await sleep(1);
  }
  for (const socket of sockets) {
    socket.removeAllListeners("close");
    socket.destroy();
  }
  if (failure !== undefined) throw failure;
  return durations;
}

/** Sends a count of requests whose body the server must refuse with 400. */
const refused: MakeSide = async () => ({
  async measure(settings): Promise<Sample> {
    const port = numberSetting(settings, "port");
    const count = numberSetting(settings, "count");
    const wrong = [
      { inputs: [{ name: "x", datatype: "FP32", shape: [1, 3], data: [1, 2, 3] }] },
      { inputs: [{ name: "x", datatype: "INT32", shape: [1, 128], data: new Array(128).fill(1) }] },
      { inputs: [{ name: "wrong", datatype: "FP32", shape: [1, 128], data: new Array(128).fill(1) }] },
      { inputs: [] },
    ].map((body) => JSON.stringify(body));
    const messages = [...wrong, '{"inputs": [', "[]", "{}", ""].map((body) =>
      wireBytes(
        {
          path: "/v2/models/mlp/infer",
          headers: { "content-type": "application/json" },
          body: Buffer.from(body),
        },
        `127.0.0.1:${port}`,
      ),
    );
    const durations = await load({ port, messages, status: 400, more: (sent) => sent < count });
    return { items: durations.count, ...durations.summary() };
  },
  async close() {},
});

export const sides: Sides = { client, refused };
