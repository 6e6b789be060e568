/** Health/Watch: the server's health now, and every time that it changes. */
import type { OipServer } from "../oip/server.js";
import { messageStream, type StreamMethod } from "./message-stream.js";
import { HealthCheckRequest, HealthCheckResponse } from "./messages.js";

const SERVICES: ReadonlySet<string> = new Set(["", "inference.GRPCInferenceService"]);

export function healthWatch(server: OipServer): StreamMethod {
  return messageStream(
    { path: "/grpc.health.v1.Health/Watch", open: true, clientStreams: false },
    HealthCheckRequest,
    HealthCheckResponse,
    (call, send) => {
      const { calls } = call;
      let last = "";
      let service: string | undefined;
      const look = (): void => {
        if (service === undefined) return;
        const status = !SERVICES.has(service)
          ? "SERVICE_UNKNOWN"
          : !calls.draining && server.isReady()
            ? "SERVING"
            : "NOT_SERVING";
        if (status !== last) send({ status });
        last = status;
        // Nothing changes any more, and the server waits for its calls.
        if (calls.draining) call.finish();
      };
      calls.watchers.add(look);
      call.stream.once("close", () => calls.watchers.delete(look));
      return {
        asked: (asked) => {
          service = asked.service;
          look();
        },
        ended: () => undefined,
      };
    },
  );
}
