/** The training step as one graph in headless Chromium, by onnxruntime-web: the numbers of the bare step. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { writeModel } from "tenon/onnx";
import { type Tensor, tensorFromStorage } from "tenon/tensor";
import {
  adamw,
  conv,
  crossEntropy,
  define,
  dropout,
  flatten,
  float32,
  int64,
  type LossFunction,
  linear,
  maxPool,
  oneGraph,
  relu,
  type TrainableModel,
} from "tenon/train";
import type { Found, Plan, Sent } from "./page.js";

const PATIENCE_MS = 120_000;
const CHROMIUM = "/usr/bin/chromium";
const ORT = dirname(fileURLToPath(import.meta.resolve("onnxruntime-web")));

const make = (): TrainableModel =>
  define(
    { x: float32(["batch", 1, 8, 8]), y: int64(["batch"]) },
    (_, { x }) => {
      const edges = maxPool(relu(conv(x, 4, { kernel: 3, padding: 1 })), { kernel: 2 });
      return linear(dropout(flatten(edges), 0.2), 3);
    },
    { seed: 3 },
  );
const loss: LossFunction = (_, out, { y }) => crossEntropy(out.output!, y!);

const batch = (key: number): Record<string, Tensor> => ({
  x: tensorFromStorage(
    "float32",
    [6, 1, 8, 8],
    Float32Array.from({ length: 384 }, (_, i) => Math.sin(i * 1.3 + key)),
  ),
  y: tensorFromStorage(
    "int64",
    [6],
    BigInt64Array.from({ length: 6 }, (_, i) => BigInt((i + key) % 3)),
  ),
});

function sent(record: Readonly<Record<string, Tensor>>): Record<string, Sent> {
  const entries = Object.entries(record).map(([name, value]): [string, Sent] => {
    const values = Array.from(value.contiguous().data as unknown as ArrayLike<number | bigint>, (each) =>
      typeof each === "bigint" ? String(each) : each,
    );
    return [name, { dtype: value.dtype as Sent["dtype"], shape: value.shape, values }];
  });
  return Object.fromEntries(entries);
}

const PAGE = `<!doctype html><script type="importmap">{"imports":{"onnxruntime-web":"/ort/ort.wasm.min.mjs"}}</script>
<script type="module" src="/page.js"></script>`;

/** Opens the page in a browser of its own and gives what it sends back. */
async function inBrowser(model: Uint8Array, plan: Plan): Promise<Found> {
  const profile = mkdtempSync(join(tmpdir(), "tenon-chromium-"));
  const found = deferred<Found>();
  const server = createServer((request, response) => {
    const path = request.url ?? "/";
    const answer = (type: string, body: string | Uint8Array): void =>
      void response.writeHead(200, { "content-type": type }).end(body);
    const file = /^\/ort\/([\w.-]+\.(mjs|wasm))$/.exec(path);
    if (path === "/") answer("text/html", PAGE);
    else if (path === "/page.js")
      answer("text/javascript", readFileSync(new URL("page.js", import.meta.url)));
    else if (path === "/plan.json") answer("application/json", JSON.stringify(plan));
    else if (path === "/model.onnx") answer("application/octet-stream", model);
    else if (file !== null)
      answer(file[2] === "wasm" ? "application/wasm" : "text/javascript", readFileSync(join(ORT, file[1]!)));
    else if (path === "/found" && request.method === "POST") {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        answer("text/plain", "");
        found.resolve(JSON.parse(Buffer.concat(parts).toString()) as Found);
      });
    } else response.writeHead(404).end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const flags = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-dev-shm-usage",
  ];
  const browser = spawn(CHROMIUM, [...flags, `--user-data-dir=${profile}`, address], {
    stdio: "ignore",
    // A group of its own: its processes write to the profile for as long as they live.
    detached: true,
  });
  const closed = once(browser, "close");
  const late = setTimeout(() => found.reject(new Error("the browser sent nothing")), PATIENCE_MS);
  try {
    browser.once("error", found.reject);
    return await found.promise;
  } finally {
    clearTimeout(late);
    try {
      if (browser.pid !== undefined) process.kill(-browser.pid, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await closed;
    server.closeAllConnections();
    server.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 30, retryDelay: 100 });
  }
}

/** A promise and what settles it. */
function deferred<T>(): {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
} {
  let [resolve, reject] = [(_: T): void => undefined, (_: unknown): void => undefined];
  const promise = new Promise<T>((yes, no) => {
    [resolve, reject] = [yes, no];
  });
  return { promise, resolve, reject };
}

test("Chromium trains by the same numbers", async () => {
  const options = { loss, optimizer: adamw({ lr: 0.01 }), seed: 2 };
  const model = make();
  await using step = await model.compile({ ...options, threads: 1 });
  const whole = oneGraph(make(), batch(0), options);
  const numbers = [1, 2, 3, 4, 5];
  const found = await inBrowser(writeModel(whole.onnx), {
    state: sent(whole.state),
    steps: numbers.map((at) => sent({ ...batch(at), ...whole.inputs(at) })),
    next: whole.next,
    loss: whole.loss,
  });
  assert.match(String(found.agent), /Chrome/, JSON.stringify(found));
  for (const [i, at] of numbers.entries()) {
    const expected = (await step.run(batch(at))).loss;
    assert.ok(
      Math.abs(found.losses[i]! - expected) < 1e-5,
      `step ${at}: ${found.losses[i]}, here ${expected}`,
    );
  }
  for (const name of model.parameters)
    model.values(name).forEach((value, i) => {
      const other = found.state[name]![i]!;
      assert.ok(Math.abs(value - other) < 1e-4, `${name}: ${other}, here ${value}`);
    });
});
