/** Servers around the official binding as sides: one fastify process, and a cluster of fastify processes. */
import cluster, { type Worker } from "node:cluster";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type MakeSide, numberSetting, type Sample, type Sides, textSetting } from "../harness/side.js";
import { officialSession } from "./binding.js";
import { inferServer } from "./infer-route.js";

/** What a server side measures: the CPU time that it has used so far, over all of its processes. */
export function cpuSoFar(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** One process. Settings: `model` its name, `file`, `threads` of the session (0: the library's defaults). */
const single: MakeSide = async (settings) => {
  const session = await officialSession(textSetting(settings, "file"), numberSetting(settings, "threads"));
  const app = await inferServer(textSetting(settings, "model"), session);
  return {
    facts: { port: (app.server.address() as AddressInfo).port },
    measure: async (): Promise<Sample> => ({ cpuMs: cpuSoFar() }),
    async close() {
      app.server.closeAllConnections();
      await app.close();
      await session.release();
    },
  };
};

/** What a worker of the cluster tells its primary. */
export type FromWorker = { readonly port: number } | { readonly cpuMs: number };

function next(worker: Worker): Promise<FromWorker> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: FromWorker): void => {
      worker.off("exit", onExit);
      resolve(message);
    };
    const onExit = (code: number): void => {
      worker.off("message", onMessage);
      reject(new Error(`a worker of the cluster ended (${code})`));
    };
    worker.once("message", onMessage);
    worker.once("exit", onExit);
  });
}

/** `processes` workers that share one port, each with a session of one thread. */
const clustered: MakeSide = async (settings) => {
  cluster.setupPrimary({
    exec: join(import.meta.dirname, "cluster-worker.js"),
    args: [textSetting(settings, "model"), textSetting(settings, "file")],
  });
  const workers = Array.from({ length: numberSetting(settings, "processes") }, () => cluster.fork());
  const ready = await Promise.all(workers.map(next));
  const first = ready[0]!;
  if (!("port" in first)) throw new Error("a worker of the cluster did not tell its port");
  return {
    facts: { port: first.port },
    async measure(): Promise<Sample> {
      const answers = workers.map(next);
      for (const worker of workers) worker.send("cpu");
      let cpuMs = cpuSoFar();
      for (const answer of await Promise.all(answers)) cpuMs += "cpuMs" in answer ? answer.cpuMs : 0;
      return { cpuMs };
    },
    async close() {
      const ended = workers.map((worker) => new Promise((resolve) => worker.once("exit", resolve)));
      for (const worker of workers) worker.kill("SIGTERM");
      await Promise.all(ended);
    },
  };
};

/** What no server on node:http can go below: it takes the body and answers a text that was made before. Setting: `answer`. */
const bare: MakeSide = async (settings) => {
  const answer = Buffer.from(textSetting(settings, "answer"));
  const head = { "content-type": "application/json", "content-length": answer.length };
  const server = createServer((request, response) => {
    request.resume();
    request.on("end", () => response.writeHead(200, head).end(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    facts: { port: (server.address() as AddressInfo).port },
    measure: async (): Promise<Sample> => ({ cpuMs: cpuSoFar() }),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};

export const sides: Sides = { single, clustered, bare };

/** Where these sides are found by `startSide`. */
export const SERVERS = import.meta.url;
