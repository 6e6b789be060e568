/** The files of deploy/: the server starts as the container would, and answers where they say. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { firstLine } from "../support/cli.js";
import { simpleModel, simpleRequest } from "../support/served.js";

const ROOT = resolve(import.meta.dirname, "../../..");
const text = (file: string): string => readFileSync(join(ROOT, "deploy", file), "utf8");
const FILES = {
  docker: text("Dockerfile"),
  kubernetes: text("kubernetes.yaml"),
  kserve: text("kserve.yaml"),
};

/** What the image sets, by name. */
const ENV = Object.fromEntries(
  [...FILES.docker.matchAll(/^ENV ([A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [name!, value!]),
);
const list = (file: string, pattern: RegExp): string[] => JSON.parse(pattern.exec(file)![1]!) as string[];

/** The user of the image, where this process may become it and it may read the package. */
function containerUser(): { uid: number; gid: number } | undefined {
  const [uid, gid] = /^USER (\d+):(\d+)$/m.exec(FILES.docker)!.slice(1).map(Number) as [number, number];
  if (process.getuid?.() !== 0) return undefined;
  const main = join(ROOT, "dist/cli/main.cjs");
  const reads = `require("node:fs").readFileSync(${JSON.stringify(main)})`;
  return spawnSync(process.execPath, ["-e", reads], { uid, gid }).status === 0 ? { uid, gid } : undefined;
}

describe("the container", () => {
  const volume = mkdtempSync(join(tmpdir(), "tenon-volume-"));
  before(() => {
    chmodSync(volume, 0o755);
    mkdirSync(join(volume, "models/simple/1"), { recursive: true });
    writeFileSync(join(volume, "models/simple/1/model.onnx"), simpleModel());
    mkdirSync(join(volume, "one"));
    writeFileSync(join(volume, "one/whatever.onnx"), simpleModel());
  });
  after(() => rmSync(volume, { recursive: true }));

  /** Starts what an image and its arguments start, on free ports and with the volume in its place. */
  async function started(args: readonly string[], use: (url: string) => Promise<void>): Promise<void> {
    const [command, script] = list(FILES.docker, /^ENTRYPOINT (.*)$/m);
    assert.deepEqual([command, script], ["node", "/app/dist/cli/main.cjs"]);
    const cache = mkdtempSync(join(tmpdir(), "tenon-container-"));
    const user = containerUser();
    chmodSync(cache, 0o777);
    const child = spawn(process.execPath, [join(ROOT, "dist/cli/main.cjs"), ...args, "--json"], {
      cwd: "/",
      env: {
        PATH: process.env.PATH,
        ...ENV,
        TENON_CACHE: join(cache, "tenon"),
        TENON_HTTP_PORT: "0",
        TENON_GRPC_PORT: "0",
        TENON_METRICS_PORT: "0",
      },
      ...user,
      timeout: 60_000,
      killSignal: "SIGKILL",
    });
    try {
      const { url } = JSON.parse(await firstLine(child)) as { url: string };
      await use(`http://127.0.0.1:${new URL(url).port}`);
    } finally {
      const closed = once(child, "close");
      child.kill(/^STOPSIGNAL (.*)$/m.exec(FILES.docker)![1] as NodeJS.Signals);
      assert.deepEqual(await closed, [0, null]);
      rmSync(cache, { recursive: true });
    }
  }

  it("serves its volume, and answers the probes of the deployment", async () => {
    const args = list(FILES.docker, /^CMD (\["serve".*)$/m);
    assert.deepEqual(list(FILES.kubernetes, /args: (.*)$/m), args);
    assert.equal(ENV.TENON_HOST, "0.0.0.0");
    const ports = [ENV.TENON_HTTP_PORT, ENV.TENON_GRPC_PORT, ENV.TENON_METRICS_PORT];
    assert.deepEqual(/^EXPOSE (.*)$/m.exec(FILES.docker)![1]!.split(" "), ports);
    for (const port of ports) assert.match(FILES.kubernetes, new RegExp(`containerPort: ${port} `));
    const here = args.map((arg) => arg.replace("/mnt/models", join(volume, "models")));
    await started(here, async (url) => {
      const probes = [...FILES.kubernetes.matchAll(/httpGet: \{ path: (\S+), port: 8000 \}/g)];
      assert.equal(probes.length, 3);
      for (const [, path] of probes) assert.equal((await fetch(url + path)).status, 200);
      const answer = await fetch(`${url}/v2/models/simple/infer`, { method: "POST", body: simpleRequest() });
      assert.equal(answer.status, 200);
      const metric = /name: (nv_\w+)/.exec(FILES.kubernetes)![1]!;
      assert.match(await (await fetch(`${url}/metrics`)).text(), new RegExp(`^${metric}\\{`, "m"));
    });
  });

  it("serves KServe's volume under the service's name", async () => {
    const args = list(FILES.kserve, /args: (.*)$/m).map((arg) =>
      arg.replace("{{.Name}}", "my-service").replace("/mnt/models", join(volume, "one")),
    );
    await started(args, async (url) => {
      const path = /httpGet: \{ path: (\S+),/.exec(FILES.kserve)![1]!;
      assert.equal((await fetch(url + path)).status, 200);
      assert.equal((await fetch(`${url}/v2/models/my-service/ready`)).status, 200);
    });
  });
});
