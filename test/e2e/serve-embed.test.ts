/** The handler inside other servers: node:http, Express and Fastify. */
import assert from "node:assert/strict";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import express from "express";
import { type FastifyReply, type FastifyRequest, fastify } from "fastify";
import { Engine } from "tenon/runtime";
import { createHandler, type Handler } from "tenon/serve";
import { simpleModel, simpleRequest } from "../support/served.js";

let engine: Engine;
let handler: Handler;
async function listening(listener: RequestListener): Promise<{ server: Server; url: string }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

async function checkInfer(url: string): Promise<void> {
  const answer = await fetch(`${url}/v2/models/simple/infer`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: simpleRequest(1),
  });
  const { outputs } = (await answer.json()) as { outputs: { data: number[] }[] };
  assert.deepEqual(outputs[0]?.data.slice(0, 3), [2, 3, 4]);
  const big = simpleRequest().padEnd(200_000);
  assert.equal((await fetch(`${url}/v2/models/simple/infer`, { method: "POST", body: big })).status, 200);
  assert.equal((await fetch(`${url}/v2/health/ready`)).status, 200);
}

describe("embedding", () => {
  before(async () => {
    engine = await Engine.open({ cache: false });
    await engine.load(simpleModel(), { name: "simple", calibrate: false });
    handler = createHandler(engine);
  });
  after(async () => {
    await handler.close();
    await engine.close();
  });

  it("node:http", async () => {
    const { server, url } = await listening(handler);
    await checkInfer(url);
    assert.equal((await fetch(`${url}/other`)).status, 404);
    server.close();
    server.closeAllConnections();
  });

  it("Express: other paths go on to the app", async () => {
    const app = express();
    app.use(handler);
    app.use(express.json());
    app.get("/other", (_req, res) => void res.send("mine"));
    const { server, url } = await listening(app);
    await checkInfer(url);
    assert.equal(await (await fetch(`${url}/other`)).text(), "mine");
    server.close();
    server.closeAllConnections();
  });

  it("Express: a body that a parser took before is named as the mistake", async () => {
    const errors: string[] = [];
    const log = {
      isLevelEnabled: () => true,
      debug: () => {},
      info: () => {},
      warn: () => {},
      error: (_: object, message: string) => void errors.push(message),
    };
    const logging = createHandler(engine, { log });
    const app = express();
    app.use(express.json());
    app.use(logging);
    const { server, url } = await listening(app);
    const answer = await fetch(`${url}/v2/models/simple/infer`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: simpleRequest(),
    });
    assert.equal(answer.status, 500);
    assert.match(errors.join(), /mount this handler before middleware that parses bodies/);
    server.close();
    server.closeAllConnections();
    await logging.close();
  });

  it("Fastify: a route that hands over the raw request", async () => {
    const app = fastify();
    app.get("/other", () => "mine");
    await app.register((scope) => {
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser("*", (_request, _payload, done) => done(null));
      const handOver = (request: FastifyRequest, reply: FastifyReply): void => {
        reply.hijack();
        handler(request.raw, reply.raw);
      };
      scope.all("/v2", handOver);
      scope.all("/v2/*", handOver);
      return Promise.resolve();
    });
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    await checkInfer(url);
    assert.equal(await (await fetch(`${url}/other`)).text(), "mine");
    await app.close();
  });
});
