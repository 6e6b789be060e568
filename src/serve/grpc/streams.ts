/** The calls of the gRPC services that stream. To add one, add a row. */
import type { OipServer } from "../oip/server.js";
import { healthWatch } from "./health-watch.js";
import type { StreamMethod } from "./message-stream.js";
import type { Method } from "./methods.js";
import { reflection } from "./reflection.js";
import { inferStream } from "./stream.js";

/** Every streaming method; `unary` are the others, which reflection tells too. */
export function grpcStreams(server: OipServer, unary: readonly Method[]): readonly StreamMethod[] {
  const streams = [inferStream(server), healthWatch(server)];
  const methods = [
    ...unary.map((method) => ({ ...method, clientStreams: false, serverStreams: false })),
    ...streams.map((method) => ({ ...method, serverStreams: true })),
  ];
  return [...streams, ...reflection(methods)];
}
