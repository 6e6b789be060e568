/** The load generator: closed-loop clients on raw sockets with prepared requests, in a process of its own. */
import { connect, type Socket } from "node:net";
import { MODELS, type ModelName } from "../../test/support/models.js";
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

function messagesOf(settings: Settings): Buffer[] {
  const port = numberSetting(settings, "port");
  const model = textSetting(settings, "model") as ModelName;
  const format = textSetting(settings, "format") as RequestFormat;
  return Array.from({ length: numberSetting(settings, "clients") }, (_, client) => {
    const inputs = MODELS[model].inputs(1, client + 1);
    return wireBytes(inferRequest(model, inputs, format), `127.0.0.1:${port}`);
  });
}

const client: MakeSide = async () => {
  let messages: { key: string; buffers: Buffer[] } = { key: "", buffers: [] };
  return {
    async measure(settings): Promise<Sample> {
      const key = JSON.stringify([settings.port, settings.model, settings.format, settings.clients]);
      if (messages.key !== key) messages = { key, buffers: messagesOf(settings) };
      const start = performance.now();
      const end = start + 1000 * numberSetting(settings, "seconds");
      const durations = await load({
        port: numberSetting(settings, "port"),
        messages: messages.buffers,
        status: 200,
        more: () => performance.now() < end,
      });
      return { items: durations.count, wallMs: performance.now() - start, ...durations.summary() };
    },
    async close() {},
  };
};

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
