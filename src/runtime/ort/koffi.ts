/** koffi, the foreign-function package: loaded here and nowhere else, and set up before its first use. */
import { TenonError } from "../../base/index.js";

export type Koffi = typeof import("koffi");

let loading: Promise<Koffi> | undefined;

/** Throws ENGINE_LIBRARY when the package is absent or has no binary for this platform. */
export function loadKoffi(): Promise<Koffi> {
  loading ??= load().catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function load(): Promise<Koffi> {
  let koffi: Koffi;
  try {
    koffi = (await import("koffi")).default as unknown as Koffi;
  } catch (cause) {
    throw new TenonError("ENGINE_LIBRARY", {
      problem: "the foreign-function package koffi could not be loaded",
      do: "install koffi with its optional dependency for this platform (npm install koffi)",
      cause,
    });
  }
  // A run needs more stack than koffi's default gives; must precede the first library that is opened.
  koffi.config({ async_stack_size: 2 << 20 });
  return koffi;
}
