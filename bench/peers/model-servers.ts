/** Servers of one model as commands of their own: `tenon serve`, Python servers from their registry, and Triton. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../../test/support/free-port.js";
import type { ModelName } from "../../test/support/models.js";
import { MODELS } from "../../test/support/models.js";
import { cpuMsOf, pssMegabytesOf, treeOf } from "../harness/process-tree.js";
import { inferRequest } from "../harness/requests.js";
import { type MakeSide, numberSetting, type Settings, type Sides, textSetting } from "../harness/side.js";

const ROOT = resolve(import.meta.dirname, "../../..");
const PEERS = join(ROOT, "bench/peers");
const START_MS = 120_000;
const IDLE_MS = 1000;

interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Where it tells that it is ready; default: a first answer to a request. */
  readonly health?: string;
  /** Folder that is removed when it has ended. */
  readonly folder?: string;
}

/** A command as a side. `readyMs`: from its start to its first answer; `idleMb`: its memory a second after that. */
function commandSide(commandOf: (settings: Settings, port: number) => Command): MakeSide {
  return async (settings) => {
    const port = await freePort();
    const { program, args, env = {}, health, folder } = commandOf(settings, port);
    const startedAt = performance.now();
    const child = spawn(program, args, {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    for (const stream of [child.stdout!, child.stderr!])
      stream.on("data", (chunk: Buffer) => {
        said = (said + chunk).slice(-4000);
      });
    const model = textSetting(settings, "model") as ModelName;
    const request = inferRequest(model, MODELS[model].inputs(1, 1), "json");
    const url = `http://127.0.0.1:${port}`;
    const isReady = async (): Promise<boolean> => {
      const answer = await (health === undefined
        ? fetch(`${url}${request.path}`, { method: "POST", headers: request.headers, body: request.body })
        : fetch(`${url}${health}`)
      ).catch(() => undefined);
      await answer?.arrayBuffer();
      return answer?.status === 200;
    };
    while (!(await isReady())) {
      if (child.exitCode !== null) throw new Error(`${program} ended:\n${said}`);
      if (performance.now() - startedAt > START_MS) {
        await end(child);
        throw new Error(`${program} is not ready after two minutes:\n${said}`);
      }
      await sleep(3);
    }
    const readyMs = performance.now() - startedAt;
    await sleep(IDLE_MS);
    const idleMb = pssMegabytesOf(treeOf(child.pid!));
    return {
      facts: { port, readyMs, idleMb },
      measure: async () => ({ cpuMs: cpuMsOf(treeOf(child.pid!)) }),
      async close() {
        await end(child);
        if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
      },
    };
  };
}

/** Ends a server with everything that it started; what does not end in time is killed. */
async function end(child: ChildProcess): Promise<void> {
  const pids = treeOf(child.pid!);
  const ended = once(child, "close");
  child.kill("SIGTERM");
  await Promise.race([ended, sleep(5000)]);
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // ended by itself
    }
  }
  await ended;
}

const tenon = commandSide((settings, port) => ({
  program: process.execPath,
  args: [
    join(ROOT, "dist/cli/main.cjs"),
    ...["serve", textSetting(settings, "file"), "--isolation", textSetting(settings, "isolation")],
    ...["--http-port", String(port), "--grpc-port", "off", "--metrics-port", "off"],
  ],
  health: "/v2/health/ready",
}));

const python = commandSide((settings, port) => {
  const server = textSetting(settings, "server");
  return {
    program: join(textSetting(settings, "home"), server, "bin/python"),
    args: [join(PEERS, `serving_${server}.py`)],
    env: {
      PEER_FILE: textSetting(settings, "file"),
      PEER_PORT: String(port),
      PEER_WORKERS: String(numberSetting(settings, "workers")),
      BENTOML_DO_NOT_TRACK: "True",
    },
  };
});

/** Its inputs and outputs are what the Python model finds in the file. */
const CONFIG =
  'backend: "python" max_batch_size: 64 dynamic_batching { } instance_group { count: WORKERS kind: KIND_CPU }';

/** The server inside the Python package nvidia-pytriton, with its Python backend. */
const triton = commandSide((settings, port) => {
  const model = textSetting(settings, "model");
  const home = join(textSetting(settings, "home"), "triton");
  const [version] = readdirSync(join(home, "lib"));
  const packages = join(home, "lib", version!, "site-packages");
  const server = join(packages, "pytriton/tritonserver");
  const folder = mkdtempSync(join(tmpdir(), "tenon-triton-"));
  const backends = join(folder, "backends");
  cpSync(join(server, "backends"), backends, { recursive: true });
  const stub = `python_backend_stubs/${version!.replace("python", "")}/triton_python_backend_stub`;
  cpSync(join(server, stub), join(backends, "python/triton_python_backend_stub"));
  const place = join(folder, "models", model, "1");
  mkdirSync(place, { recursive: true });
  cpSync(textSetting(settings, "file"), join(place, "model.onnx"));
  cpSync(join(PEERS, "triton_onnx.py"), join(place, "model.py"));
  const config = CONFIG.replace("WORKERS", String(numberSetting(settings, "workers")));
  writeFileSync(join(folder, "models", model, "config.pbtxt"), `name: "${model}" ${config}`);
  return {
    program: join(server, "bin/tritonserver"),
    args: [
      `--model-repository=${join(folder, "models")}`,
      `--backend-directory=${backends}`,
      ...[`--http-port=${port}`, "--http-address=127.0.0.1", "--allow-grpc=false", "--allow-metrics=false"],
    ],
    env: {
      LD_LIBRARY_PATH: join(packages, "nvidia_pytriton.libs"),
      PYTHONPATH: packages,
      PATH: `${join(home, "bin")}:${process.env.PATH}`,
    },
    health: "/v2/health/ready",
    folder,
  };
});

export const sides: Sides = { tenon, python, triton };

/** Where these sides are found by `startSide`. */
export const MODEL_SERVERS = import.meta.url;
