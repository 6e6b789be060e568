/** Tenon behind HTTP, as a side. */
import { paceCollector, serve } from "tenon/serve";
import type { Wanted } from "./bench.js";
import { openModel } from "./ours.js";
import { cpuMsOf, treeOf } from "./process-tree.js";
import { type MakeSide, numberSetting, type Sample, type Settings, type Sides } from "./side.js";

/**
 * A server on a free port; a measurement gives the CPU time used so far, of all its processes and of this one alone, and the means
 * of its batches: rows, and lengths with padding over lengths without.
 */
const server: MakeSide = async (settings) => {
  paceCollector();
  const { engine } = await openModel(settings);
  const fronts = settings.fronts === undefined ? 0 : numberSetting(settings, "fronts");
  const listening = await serve(engine, { port: 0, fronts });
  return {
    facts: { port: listening.port },
    async measure(): Promise<Sample> {
      const { user, system } = process.cpuUsage();
      const metrics = await (await fetch(`http://127.0.0.1:${listening.port}/metrics`)).text();
      const meanOf = (name: string): number => {
        const sum = (part: string): number =>
          Number(new RegExp(`^${name}_${part}\\{.*\\} (.*)$`, "m").exec(metrics)?.[1]);
        return sum("sum") / sum("count");
      };
      const ownMs = (user + system) / 1000;
      return {
        cpuMs: fronts === 0 ? ownMs : ownMs + childrenCpuMs(process.pid),
        ownMs,
        rows: meanOf("tenon_batch_size"),
        padding: meanOf("tenon_padding_ratio"),
      };
    },
    async close() {
      await listening.close();
      await engine.close();
    },
  };
};

function childrenCpuMs(pid: number): number {
  return cpuMsOf(treeOf(pid).filter((found) => found !== pid));
}

/** The server side with `lanes` lanes, set up as the command line does it: a thread of the pool for each lane. */
export function tenonServer(model: string, lanes: number, more: Settings = {}): Wanted {
  return {
    module: import.meta.url,
    side: "server",
    settings: { model, lanes, dedicatedPool: true, ...more },
    env: { UV_THREADPOOL_SIZE: String(lanes) },
  };
}

export const sides: Sides = { server };
