/** Claim: a ModelInfer call with its run costs the server less than half the CPU time that a bare @grpc/grpc-js server takes to do nothing with it. */
import { once } from "node:events";
import { Agent, request } from "node:http";
import { Client, credentials, Server, ServerCredentials } from "@grpc/grpc-js";
import { graph, writeModel } from "tenon/onnx";
import { Engine } from "tenon/runtime";
import { paceCollector, serve } from "tenon/serve";
import { inferRequest as grpcRequest } from "../../test/support/grpc-client.js";
import { alternate, type Bench, perCpuSecond, value, withSides } from "../harness/bench.js";
import { short, times } from "../harness/report.js";
import { type MakeSide, numberSetting, type Sample, type Settings, type Sides } from "../harness/side.js";
import type { RunningSide } from "../harness/start-side.js";

const PATH = "/inference.GRPCInferenceService/ModelInfer";
const COLUMNS = 3 * 224 * 224;
const INPUT = { name: "x", datatype: "FP32", shape: [1, COLUMNS] } as const;
const CLIENTS = 2;

function cpuSoFar(): Sample {
  const { user, system } = process.cpuUsage();
  return { cpuMs: (user + system) / 1000 };
}

/** Tenon over both protocols, with a model that reads an image and gives one number. */
const tenon: MakeSide = async () => {
  paceCollector();
  const g = graph({ opset: 17, name: "largest" });
  g.output(g.add("ReduceMax", [g.input("x", "float32", ["N", COLUMNS])], { axes: [1] }), "y");
  const engine = await Engine.open({ lanes: 1 });
  await engine.load(writeModel(g.model()), { name: "largest" });
  const listening = await serve(engine, { port: 0, grpcPort: 0 });
  return {
    facts: { httpPort: listening.port, grpcPort: listening.grpcPort! },
    measure: async () => cpuSoFar(),
    async close() {
      await listening.close();
      await engine.close();
    },
  };
};

/** A server of @grpc/grpc-js that takes each message as it comes and answers 64 bytes: no model, nothing is decoded. */
const bare: MakeSide = async () => {
  const server = new Server({ "grpc.max_receive_message_length": -1 });
  const answer = Buffer.alloc(64);
  const method = {
    path: PATH,
    requestStream: false,
    responseStream: false,
    requestSerialize: (bytes: Buffer) => bytes,
    requestDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (bytes: Buffer) => bytes,
    responseDeserialize: (bytes: Buffer) => bytes,
  };
  server.addService(
    { ModelInfer: method },
    { ModelInfer: (_: unknown, done: (error: null, answer: Buffer) => void) => done(null, answer) },
  );
  const grpcPort = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    );
  });
  return {
    facts: { grpcPort },
    measure: async () => cpuSoFar(),
    close: async () => server.forceShutdown(),
  };
};

/** Closed-loop clients. Measure: `seconds`, and `grpcPort` or `httpPort`; `items` are the answers. */
const client: MakeSide = async () => {
  const raw = new Uint8Array(new Float32Array(COLUMNS).map((_, i) => Math.sin(i)).buffer);
  const message = Buffer.from(grpcRequest({ model: "largest", inputs: [{ ...INPUT, raw }] }));
  const json = Buffer.from(
    JSON.stringify({
      inputs: [{ ...INPUT, parameters: { binary_data_size: raw.length } }],
      parameters: { binary_data_output: true },
    }),
  );
  const body = Buffer.concat([json, raw]);
  const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
  const channels = new Map<number, Client>();
  const overGrpc = (port: number): Promise<void> => {
    let channel = channels.get(port);
    if (channel === undefined) {
      channel = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
      channels.set(port, channel);
    }
    const asIs = (bytes: Buffer): Buffer => bytes;
    return new Promise((resolve, reject) => {
      channel.makeUnaryRequest(PATH, asIs, asIs, message, (error: Error | null) =>
        error === null ? resolve() : reject(error),
      );
    });
  };
  const overHttp = async (port: number): Promise<void> => {
    const asked = request({
      agent,
      port,
      host: "127.0.0.1",
      method: "POST",
      path: "/v2/models/largest/infer",
      headers: { "inference-header-content-length": json.length, "content-length": body.length },
    });
    asked.end(body);
    const [answer] = await once(asked, "response");
    answer.resume();
    await once(answer, "end");
    if (answer.statusCode !== 200) throw new Error(`status ${answer.statusCode}`);
  };
  return {
    async measure(settings: Settings): Promise<Sample> {
      const end = performance.now() + 1000 * numberSetting(settings, "seconds");
      const call =
        settings.httpPort === undefined
          ? () => overGrpc(numberSetting(settings, "grpcPort"))
          : () => overHttp(numberSetting(settings, "httpPort"));
      let items = 0;
      const loop = async (): Promise<void> => {
        while (performance.now() < end) {
          await call();
          items++;
        }
      };
      await Promise.all(Array.from({ length: CLIENTS }, loop));
      return { items };
    },
    async close() {
      agent.destroy();
      for (const channel of channels.values()) channel.close();
    },
  };
};

export const sides: Sides = { tenon, bare, client };

export const bench: Bench = {
  name: "grpc-cpu",
  run: (effort) =>
    withSides(
      import.meta.url,
      { tenon: { side: "tenon" }, bare: { side: "bare" }, client: { side: "client" } },
      async (team) => {
        const doors = {
          grpc: { server: team.tenon, settings: { grpcPort: value(team.tenon.facts, "grpcPort") } },
          http: { server: team.tenon, settings: { httpPort: value(team.tenon.facts, "httpPort") } },
          bare: { server: team.bare, settings: { grpcPort: value(team.bare.facts, "grpcPort") } },
        };
        const through = async (name: keyof typeof doors, seconds: number): Promise<Sample> => {
          const { server, settings } = doors[name];
          const before = await server.measure();
          const { items } = await team.client.measure({ ...settings, seconds });
          const after = await server.measure();
          return { items: items!, cpuMs: value(after, "cpuMs") - value(before, "cpuMs") };
        };
        const names = { grpc: team.tenon, http: team.tenon, bare: team.bare } satisfies Record<
          string,
          RunningSide
        >;
        for (const name of ["grpc", "http", "bare"] as const)
          await through(name, Math.min(1, effort.seconds));
        const samples = await alternate(names, effort, {}, (_, name) => through(name, effort.seconds));
        const perCall = (name: keyof typeof doors): number => 1000 / perCpuSecond(samples[name]);
        const figures = `${short(perCall("grpc"))} ms; bare @grpc/grpc-js ${short(perCall("bare"))}; our HTTP ${short(perCall("http"))}`;
        const ratio = perCall("grpc") / perCall("bare");
        return [
          {
            claim:
              "gRPC, a ModelInfer of 600 KB with a run, server CPU per call against bare @grpc/grpc-js without one",
            target: "≤ 0.5×",
            measured: `${times(ratio)} (${figures})`,
            met: ratio <= 0.5,
          },
          {
            claim: "gRPC, the same call against our HTTP with a binary body, server CPU per call",
            target: "≤ 1.5×",
            measured: times(perCall("grpc") / perCall("http")),
            met: perCall("grpc") <= 1.5 * perCall("http"),
          },
        ];
      },
    ),
};
