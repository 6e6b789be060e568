/** A model repository in a folder of its own, and the real command that serves it. */
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type GraphBuilder, graph, writeModel } from "tenon/onnx";
import { tensor } from "tenon/tensor";
import { collect, firstLine, startCli } from "./cli.js";

/** The line that the command prints when it serves. */
export interface Ready {
  readonly url: string;
  readonly grpcPort: number;
  readonly models: readonly { readonly name: string; readonly version: string }[];
  readonly failed: readonly { readonly name: string; readonly code: string; readonly problem: string }[];
}

export interface ServedRepository extends AsyncDisposable {
  readonly folder: string;
  readonly ready: Ready;
  readonly log: () => string;
  /** Adds a file. */
  readonly put: (path: string, content: string | Uint8Array) => void;
  readonly post: (
    path: string,
    body?: object | string,
    headers?: Record<string, string>,
  ) => Promise<Response>;
  readonly get: (path: string) => Promise<unknown>;
}

export function modelBytes(build: (g: GraphBuilder) => void): Uint8Array {
  const g = graph({ name: "model" });
  build(g);
  return writeModel(g.model());
}

/**
 * Adds up what a sequence sends: `SUM` is `INPUT` and, unless `START` is 1, what the last request left in `acc_in`.
 * `ID`, `FIRST`, `LAST` and `HERE` give the controls back.
 */
export function accumulator(idType: "uint64" | "string" = "uint64"): Uint8Array {
  return modelBytes((g) => {
    const input = g.input("INPUT", "int32", ["N", 1]);
    const start = g.input("START", "int32", ["N", 1]);
    const end = g.input("END", "float32", ["N", 1]);
    const here = g.input("READY", "bool", ["N", 1]);
    const id = g.input("CORRID", idType, ["N", 1]);
    const before = g.input("acc_in", "int32", ["N", 1]);
    const one = g.initializer("one", tensor([1], { dtype: "int32" }));
    const kept = g.add("Mul", [before, g.add("Sub", [one, start])]);
    const sum = g.add("Add", [input, kept]);
    g.output(sum, "SUM");
    g.output(g.add("Identity", [sum]), "acc_out");
    g.output(g.add("Identity", [id]), "ID");
    g.output(g.add("Identity", [start]), "FIRST");
    g.output(g.add("Identity", [end]), "LAST");
    g.output(g.add("Identity", [here]), "HERE");
  });
}

/** The configuration of an accumulator; `strategy` is `direct { }` or `oldest { … }`. */
export function accumulatorConfig(strategy: string, idType = "TYPE_UINT64", state = ""): string {
  return `max_batch_size: 4
input [ { name: "INPUT" data_type: TYPE_INT32 dims: [ 1 ] } ]
output [ { name: "SUM" data_type: TYPE_INT32 dims: [ 1 ] } ]
instance_group [ { count: 1 } ]
sequence_batching {
  max_sequence_idle_microseconds: 60000000
  control_input [
    { name: "START" control [ { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] } ] },
    { name: "END" control [ { kind: CONTROL_SEQUENCE_END fp32_false_true: [ 0, 1 ] } ] },
    { name: "READY" control [ { kind: CONTROL_SEQUENCE_READY bool_false_true: [ false, true ] } ] },
    { name: "CORRID" control [ { kind: CONTROL_SEQUENCE_CORRID data_type: ${idType} } ] }
  ]
  state [ { input_name: "acc_in" output_name: "acc_out" data_type: TYPE_INT32 dims: [ 1 ] ${state} } ]
  ${strategy}
}`;
}

/** Serves files, by their paths in the repository, in a process of their own. */
export async function serveRepository(
  files: Readonly<Record<string, string | Uint8Array>>,
  ...args: readonly string[]
): Promise<ServedRepository> {
  const folder = mkdtempSync(join(tmpdir(), "tenon-repository-"));
  const put = (path: string, content: string | Uint8Array): void => {
    mkdirSync(join(folder, dirname(path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  };
  for (const [path, content] of Object.entries(files)) put(path, content);
  const child = startCli(["serve", folder, "--json", "--isolation", "inline", ...args], {
    env: { TENON_CACHE: "off", TENON_HTTP_PORT: "0" },
  });
  const log = collect(child.stderr);
  const end = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const closed = once(child, "close");
      child.kill("SIGTERM");
      await closed;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  let ready: Ready;
  try {
    ready = JSON.parse(await firstLine(child)) as Ready;
  } catch (error) {
    await end();
    throw error;
  }
  return {
    folder,
    ready,
    log,
    put,
    post: (path, body, headers = {}) =>
      fetch(`${ready.url}${path}`, {
        method: "POST",
        headers,
        body: body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body),
      }),
    get: async (path) => (await fetch(`${ready.url}${path}`)).json(),
    [Symbol.asyncDispose]: end,
  };
}
