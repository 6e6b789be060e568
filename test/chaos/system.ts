/** The real `tenon serve` with the models that endurance runs ask, and what it holds of the system, read from /proc. */
import { once } from "node:events";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeModel } from "tenon/onnx";
import { collect, firstLine, startCli } from "../support/cli.js";
import { MODELS } from "../support/models.js";
import { childrenOf } from "../support/processes.js";
import { identityModel, simpleModel } from "../support/served.js";
import { intDivideModel } from "../support/small-models.js";

/** The models of an endurance run; `again` is the one that is loaded anew while others serve. */
const FILES = {
  simple: simpleModel,
  again: simpleModel,
  divide: () => writeModel(intDivideModel()),
  mlp: () => writeModel(MODELS.mlp.build()),
  identity_BYTES: () => identityModel("string"),
  identity_FP32: () => identityModel("float32"),
} as const satisfies Record<string, () => Uint8Array>;

export interface System extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
  readonly grpcPort: number;
  readonly url: string;
  /** False when the server process has ended. */
  readonly alive: () => boolean;
  /** What the server wrote to stderr so far. */
  readonly log: () => string;
  /** Sends SIGTERM; the exit code. */
  stop(): Promise<number | null>;
}

/** Starts a server of all of `FILES` on free ports, with further options of `serve`. */
export async function startSystem(options: readonly string[] = []): Promise<System> {
  const folder = mkdtempSync(join(tmpdir(), "tenon-chaos-"));
  const models = join(folder, "models");
  mkdirSync(models);
  for (const [name, make] of Object.entries(FILES)) writeFileSync(join(models, `${name}.onnx`), make());
  // A machine that is busy with other things may take long to start a process.
  const env = { TENON_CACHE: join(folder, "cache"), TENON_HTTP_PORT: "0", TENON_RUN_DEADLINE: "5m" };
  const control = ["--model-control", "explicit", "--load-model", "*"];
  const child = startCli(["serve", models, "--json", ...control, ...options], {
    cwd: folder,
    env,
    timeout: 0,
  });
  const log = collect(child.stderr);
  const dispose = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "close");
    }
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const ready = JSON.parse(await firstLine(child)) as { url: string; grpcPort: number; failed: unknown[] };
    if (ready.failed.length > 0)
      throw new Error(`not all models were loaded: ${JSON.stringify(ready.failed)}`);
    return {
      pid: child.pid!,
      url: ready.url,
      port: Number(new URL(ready.url).port),
      grpcPort: ready.grpcPort,
      alive: () => child.exitCode === null && child.signalCode === null,
      log,
      async stop() {
        child.kill("SIGTERM");
        const [code] = (await once(child, "close")) as [number | null];
        return code;
      },
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** What a server holds at one moment. */
export interface Holdings {
  readonly minutes: number;
  /** Resident bytes of the server's own process. */
  readonly serverRss: number;
  /** Resident bytes of each of its processes, by id. */
  readonly modelRss: ReadonlyMap<number, number>;
  /** Open descriptors but the connections of clients, which come and go. */
  readonly descriptors: number;
  /** Mappings of memory that is shared with model processes. */
  readonly mappings: number;
}

export function holdings(pid: number, minutes: number): Holdings {
  const modelRss = new Map<number, number>();
  for (const child of childrenOf(pid)) {
    const bytes = residentBytes(child);
    if (bytes !== undefined) modelRss.set(child, bytes);
  }
  return {
    minutes,
    serverRss: residentBytes(pid) ?? 0,
    modelRss,
    descriptors: descriptorsOf(pid),
    mappings: readFileSync(`/proc/${pid}/maps`, "latin1").split("memfd:tenon").length - 1,
  };
}

function descriptorsOf(pid: number): number {
  const connections = new Set(
    ["tcp", "tcp6"].flatMap((protocol) =>
      readFileSync(`/proc/${pid}/net/${protocol}`, "latin1")
        .split("\n")
        .slice(1)
        .map((line) => `socket:[${line.trim().split(/\s+/)[9]}]`),
    ),
  );
  const targets = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return undefined; // closed since
    }
  });
  return targets.filter((target) => target !== undefined && !connections.has(target)).length;
}

/** Undefined for a process that has ended. */
function residentBytes(pid: number): number | undefined {
  try {
    const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
    return kib === undefined ? undefined : Number(kib) * 1024;
  } catch {
    return undefined;
  }
}
