/** A thread of a map: loads the module, and answers each batch with what its function makes of it. */
import { parentPort, workerData } from "node:worker_threads";
import { isTenonError, TenonError } from "../base/index.js";
import type { MapModule, MapReply } from "./map-threads.js";
import { packed, unpacked } from "./travel.js";

const port = parentPort!; // this file runs in a thread only
const { module, name } = workerData as MapModule;

type Change = (data: unknown, signal: AbortSignal) => unknown;

async function loaded(): Promise<Change> {
  let exports: Readonly<Record<string, unknown>>;
  try {
    exports = (await import(module)) as typeof exports;
  } catch (cause) {
    throw new TenonError("USAGE", {
      problem: "the module of a map cannot be loaded",
      given: `${module}: ${cause instanceof Error ? cause.message : String(cause)}`,
    });
  }
  const change = Object.hasOwn(exports, name) ? exports[name] : undefined;
  if (typeof change === "function") return change as Change; // what it takes is the caller's matter
  throw new TenonError("USAGE", {
    problem: "the module of a map has no such function",
    given: `${name === "" ? "a function without a name" : name} of ${module}`,
    expected: "an export of the function's own name",
  });
}

const change = loaded();
change.catch(() => undefined);
// A thread is ended, not asked: nothing ever aborts this.
const { signal } = new AbortController();

port.on("message", (data: unknown) => {
  void (async () => {
    try {
      const { value, memory } = packed(await (await change)(unpacked(data), signal));
      port.postMessage({ done: value } satisfies MapReply, memory);
    } catch (error) {
      port.postMessage(told(error));
    }
  })();
});

function told(error: unknown): MapReply {
  if (isTenonError(error)) {
    const { code, problem, given } = error;
    return { refused: { code, problem, ...(given === undefined ? {} : { given }) } };
  }
  return { failed: error instanceof Error ? error : new Error(String(error)) };
}
