/** HTTP servers measured in turn by the one load generator. */
import type { ModelName } from "../../test/support/models.js";
import { MODELS } from "../../test/support/models.js";
import { alternate, type Effort, type Team, value, withSides } from "./bench.js";
import { firstOutput, inferRequest, type RequestFormat } from "./requests.js";
import type { Sample } from "./side.js";
import type { RunningSide } from "./start-side.js";

export interface HttpLoad {
  readonly model: ModelName;
  readonly format: RequestFormat;
  readonly clients: number;
  /** Token inputs of a length for each client, in place of the model's own. */
  readonly mixed?: boolean;
  /** Requests arrive at this mean rate a second instead of one after another (an open loop). */
  readonly rate?: number;
}

const CLIENT = new URL("./http-client.js", import.meta.url).href;

/** Gives the load generator to `use`. */
export function withClient<R>(use: (client: RunningSide) => Promise<R>): Promise<R> {
  return withSides(CLIENT, { client: { side: "client" } }, ({ client }) => use(client));
}

/**
 * Requests against each server in turn. `items`, `wallMs` and the latencies are the client's, `cpuMs` is
 * the server's CPU time over all of its processes, `clientCpuMs` the load generator's.
 */
export async function httpRounds<Name extends string>(
  client: RunningSide,
  servers: Team<Name>,
  load: HttpLoad,
  effort: Effort,
): Promise<Readonly<Record<Name, Sample>>> {
  const send = (server: RunningSide, seconds: number): Promise<Sample> =>
    client.measure({ ...load, port: value(server.facts, "port"), seconds });
  // Node compiles what runs often for some seconds.
  for (const server of Object.values<RunningSide>(servers)) await send(server, 2 * effort.seconds);
  return alternate(servers, effort, {}, async (server) => {
    const before = await server.measure();
    const sample = await send(server, effort.seconds);
    const after = await server.measure();
    const cpuMs = value(after, "cpuMs") - value(before, "cpuMs");
    // Of one of its processes, where the server tells that.
    const own = after.ownMs === undefined ? {} : { ownMs: after.ownMs - value(before, "ownMs") };
    return { ...sample, ...own, cpuMs, clientCpuMs: value(sample, "cpuMs") };
  });
}

/** Throws unless all servers give the same answer to one request, to 1e-4 of its largest value. */
export async function checkAnswers(
  servers: Team<string>,
  model: ModelName,
  format: RequestFormat,
): Promise<void> {
  const request = inferRequest(model, MODELS[model].inputs(1, 99), format);
  let expected: Float32Array | undefined;
  for (const [name, server] of Object.entries(servers)) {
    const got = await firstOutput(value(server.facts, "port"), request);
    expected ??= got;
    const scale = expected.reduce((largest, x) => Math.max(largest, Math.abs(x)), 0);
    const differs = expected.findIndex((x, i) => !(Math.abs(x - got[i]!) <= 1e-4 * scale));
    if (differs >= 0 || got.length !== expected.length) {
      throw new Error(`${name} answers otherwise: ${got[differs]} instead of ${expected[differs]}`);
    }
  }
}
