/** Tenon behind HTTP, as a side. */
import { paceCollector, serve } from "tenon/serve";
import type { Wanted } from "./bench.js";
import { openModel } from "./ours.js";
import type { MakeSide, Sample, Sides } from "./side.js";

/** A server on a free port; a measurement gives the CPU time that its process has used so far. */
const server: MakeSide = async (settings) => {
  paceCollector();
  const { engine } = await openModel(settings);
  const listening = await serve(engine, { port: 0 });
  return {
    facts: { port: listening.port },
    async measure(): Promise<Sample> {
      const { user, system } = process.cpuUsage();
      return { cpuMs: (user + system) / 1000 };
    },
    async close() {
      await listening.close();
      await engine.close();
    },
  };
};

/** The server side with `lanes` lanes, set up as the command line does it: a thread of the pool for each lane. */
export function tenonServer(model: string, lanes: number): Wanted {
  return {
    module: import.meta.url,
    side: "server",
    settings: { model, lanes, dedicatedPool: true },
    env: { UV_THREADPOOL_SIZE: String(lanes) },
  };
}

export const sides: Sides = { server };
