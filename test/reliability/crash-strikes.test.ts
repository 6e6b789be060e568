/** Who keeps ending a model's process is refused on that model alone, whichever protocol it speaks; nobody else is. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { ServiceError } from "@grpc/grpc-js";
import { Engine } from "tenon/runtime";
import { type RunningServer, type ServeOptions, serve } from "tenon/serve";
import { GrpcClient, type GrpcRequest } from "../support/grpc-client.js";
import { rawRequest, send, simpleModel, simpleRequest } from "../support/served.js";
import { intDivideModel } from "../support/small-models.js";

const SMALLEST = -(2 ** 31);
const STRIKES = 2;

describe("strikes", () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-strikes-"));
  const keyFile = join(folder, "keys");
  let engine: Engine;
  let poisons = 0;

  before(async () => {
    const line = (key: string): string => `${key} sha256:${createHash("sha256").update(key).digest("hex")}\n`;
    writeFileSync(keyFile, line("good") + line("bad") + line("worse"));
    engine = await Engine.open({ cache: false, lanes: 1, isolation: "process", process: { spare: "model" } });
    await engine.load(intDivideModel(), { name: "divide", calibrate: false });
    await engine.load(simpleModel(), { name: "simple", calibrate: false });
  });
  after(async () => {
    await engine.close();
    rmSync(folder, { recursive: true });
  });
  const open = (options: ServeOptions): Promise<RunningServer> =>
    serve(engine, { port: 0, grpcPort: 0, crashStrikes: STRIKES, ...options });

  const grpcDivide = (values: readonly number[]): GrpcRequest => ({
    model: "divide",
    inputs: [
      { name: "x", datatype: "INT32", shape: [1, 4], raw: new Uint8Array(Int32Array.from(values).buffer) },
    ],
  });

  async function divide(port: number, values: readonly number[], key?: string): Promise<string> {
    const inputs = [{ name: "x", shape: [1, 4], datatype: "INT32", data: values }];
    const headers: Record<string, string> = key === undefined ? {} : { Authorization: `Bearer ${key}` };
    const answer = await send(
      port,
      rawRequest("/v2/models/divide/infer", JSON.stringify({ inputs }), headers),
    );
    return `${answer.status} ${answer.headers.get("x-tenon-error") ?? ""}`;
  }

  /** Another poison each time: the same one would be refused for what it did. */
  const poison = (): number[] => [SMALLEST, ++poisons, 0, 0];

  it("a key is refused after its last strike; other keys, and other models, are served", async () => {
    await using server = await open({ apiKeyFile: keyFile });
    for (let i = 0; i < STRIKES; i++) {
      assert.equal(await divide(server.port, poison(), "bad"), "500 MODEL_CRASHED");
      assert.equal(await divide(server.port, [1, 2, 3, 4], "good"), "200 ");
    }
    assert.equal(await divide(server.port, [1, 2, 3, 4], "bad"), "429 RATE_LIMITED");
    assert.equal(await divide(server.port, [1, 2, 3, 4], "good"), "200 ");
    const other = rawRequest("/v2/models/simple/infer", simpleRequest(), { Authorization: "Bearer bad" });
    assert.equal((await send(server.port, other)).status, 200);
  });

  it("strikes over gRPC and HTTP are of one key, and both refuse it", async () => {
    await using server = await open({ apiKeyFile: keyFile });
    using client = new GrpcClient(server.grpcPort!);
    const metadata = { authorization: "Bearer worse" };
    const call = (values: readonly number[]): Promise<ServiceError | undefined> =>
      client.infer(grpcDivide(values), { metadata }).then(
        () => undefined,
        (error: ServiceError) => error,
      );
    assert.equal(await divide(server.port, poison(), "worse"), "500 MODEL_CRASHED");
    for (let i = 1; i < STRIKES; i++) {
      assert.equal((await call(poison()))?.metadata.get("x-tenon-error")[0], "MODEL_CRASHED");
    }
    const refused = await call([1, 2, 3, 4]);
    assert.equal(refused?.metadata.get("x-tenon-error")[0], "RATE_LIMITED");
    assert.match(refused.details, /ended the process of model 'divide'/);
    assert.equal(await divide(server.port, [1, 2, 3, 4], "worse"), "429 RATE_LIMITED");
  });

  it("an input that is refused because it once ended the process is no strike", async () => {
    await using server = await open({});
    const same = poison();
    assert.equal(await divide(server.port, same), "500 MODEL_CRASHED");
    for (let i = 0; i < STRIKES; i++) assert.equal(await divide(server.port, same), "400 INPUT_QUARANTINED");
    assert.equal(await divide(server.port, [1, 2, 3, 4]), "200 ");
  });

  it("without keys an address counts; off lets everything through", async () => {
    await using server = await open({ crashStrikes: 1 });
    await using lenient = await open({ crashStrikes: "off" });
    assert.equal(await divide(server.port, poison()), "500 MODEL_CRASHED");
    assert.equal(await divide(server.port, [1, 2, 3, 4]), "429 RATE_LIMITED");
    for (let i = 0; i < STRIKES; i++) assert.equal(await divide(lenient.port, poison()), "500 MODEL_CRASHED");
    assert.equal(await divide(lenient.port, [1, 2, 3, 4]), "200 ");
  });
});
