/** A real Triton server with models of its Python backend. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../support/free-port.js";

export interface RealTriton {
  readonly url: string;
  readonly grpcPort: number;
  readonly metricsPort: number;
  end(): Promise<void>;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const closed = once(child, "close");
  child.kill("SIGKILL");
  await closed;
}

/** The server inside the Python package nvidia-pytriton, with a model of `triton_model.py` for each configuration. */
export async function startTriton(
  home: string,
  folder: string,
  configs: Readonly<Record<string, string>>,
): Promise<RealTriton> {
  const [python] = readdirSync(join(home, "triton/lib"));
  const packages = join(home, "triton/lib", python!, "site-packages");
  const server = join(packages, "pytriton/tritonserver");
  const backends = join(folder, "backends");
  cpSync(join(server, "backends"), backends, { recursive: true });
  const stub = `python_backend_stubs/${python!.replace("python", "")}/triton_python_backend_stub`;
  cpSync(join(server, stub), join(backends, "python/triton_python_backend_stub"));
  const models = join(folder, "models");
  const code = resolve(import.meta.dirname, "../../../test/interop/triton_model.py");
  for (const [name, config] of Object.entries(configs)) {
    mkdirSync(join(models, name, "1"), { recursive: true });
    writeFileSync(
      join(models, name, "config.pbtxt"),
      `name: "${name}" backend: "python"\n${config.replace(/ state \[.*\]\n/, "")}`,
    );
    cpSync(code, join(models, name, "1/model.py"));
  }
  const [http, grpc, metrics] = [await freePort(), await freePort(), await freePort()];
  const child = spawn(
    join(server, "bin/tritonserver"),
    [
      `--model-repository=${models}`,
      `--backend-directory=${backends}`,
      "--model-control-mode=explicit",
      "--load-model=*",
      `--http-port=${http}`,
      `--grpc-port=${grpc}`,
      `--metrics-port=${metrics}`,
      "--http-address=127.0.0.1",
      "--grpc-address=127.0.0.1",
    ],
    {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        LD_LIBRARY_PATH: join(packages, "nvidia_pytriton.libs"),
        PYTHONPATH: packages,
        PATH: `${join(home, "triton/bin")}:${process.env.PATH}`,
      },
    },
  );
  let log = "";
  for (const stream of [child.stdout!, child.stderr!])
    stream.on("data", (chunk: Buffer) => {
      log = (log + chunk).slice(-20_000);
    });
  const url = `http://127.0.0.1:${http}`;
  for (let i = 0; i < 600; i++) {
    if (child.exitCode !== null) throw new Error(`tritonserver ended:\n${log}`);
    const answer = await fetch(`${url}/v2/health/ready`).catch(() => undefined);
    if (answer?.status === 200) return { url, grpcPort: grpc, metricsPort: metrics, end: () => end(child) };
    await sleep(200);
  }
  child.kill("SIGKILL");
  throw new Error(`tritonserver is not ready after two minutes:\n${log}`);
}
