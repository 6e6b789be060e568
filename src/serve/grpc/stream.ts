/** ModelStreamInfer: requests of one stream run side by side; each answer carries its request's id. */
import { TenonError, toTenonError } from "../../base/index.js";
import type { OipServer } from "../oip/server.js";
import { encode, WireWriter } from "../protobuf/encode.js";
import type { Call, Subject } from "./call.js";
import { contentOf, type Frame, FrameReader } from "./frames.js";
import { answerInfer, EMPTY_FINAL, rawContentsAt, readInfer, runInfer } from "./infer.js";
import type { StreamMethod } from "./message-stream.js";
import { ModelInferRequest, ModelStreamInferResponse } from "./messages.js";

/** Requests of one stream that are under way before further ones are left unread. */
const UNDER_WAY = 64;

/** Number of `infer_response` in the stream's answers. */
const INFER_RESPONSE = 2;
const DELIMITED = 2;

export function inferStream(server: OipServer): StreamMethod {
  const { repository, memory } = server;

  const answer = async (
    call: Call,
    frame: Frame,
    failed: (error: TenonError, subject: Subject) => void,
  ): Promise<void> => {
    const { bodies, settings } = call.calls;
    const subject: Subject = { model: undefined, requestId: undefined };
    try {
      const content = contentOf(frame, call.metadata("grpc-encoding"), settings.bodyMax);
      const bytes = content instanceof Promise ? await content : content;
      const reading = readInfer(
        call,
        subject,
        bytes,
        (name, version) => repository.finder(name, version),
        memory,
      );
      const asked = reading instanceof Promise ? await reading : reading;
      const ran = await runInfer(call, asked);
      bodies.give(frame.bytes);
      const final = asked.parameters.get(EMPTY_FINAL) === true;
      const parameters = new Map(final ? [["triton_final_response", { bool_param: true }]] : []);
      const { parts, held } = answerInfer(ran, asked.message.id, parameters, memory);
      let length = 0;
      for (const part of parts) length += part.length;
      const head = new WireWriter();
      head.tag(INFER_RESPONSE, DELIMITED);
      head.varint(length);
      await call.send([head.result(), ...parts], held);
    } catch (thrown) {
      failed(toTenonError(thrown), subject);
    }
  };

  const start = (call: Call): void => {
    call.streaming = true;
    const { stream, calls } = call;
    const strict = call.metadata("triton_grpc_error") === "true";
    let underWay = 0;
    let over = false;
    let ended = false;
    const end = (error: unknown): void => {
      over = true;
      call.fail(toTenonError(error));
    };
    const failed = (error: TenonError, subject: Subject): void => {
      if (over || call.closed) return;
      if (strict) {
        Object.assign(call, subject);
        end(error);
        return;
      }
      call.noteFailure(error);
      const message = encode(ModelStreamInferResponse, {
        error_message: call.textOf(error, subject),
        infer_response: { id: subject.requestId ?? "" },
      });
      void Promise.resolve(call.send([message])).catch(end);
    };
    const settle = (): void => {
      underWay--;
      if (over) return;
      if (ended && underWay === 0) call.finish();
      else if (!ended && underWay < UNDER_WAY && stream.writableLength < calls.settings.bodyMax)
        stream.resume();
    };
    const reader = new FrameReader(
      { maxBytes: calls.settings.bodyMax, pool: calls.bodies, alignAt: rawContentsAt },
      (frame) => {
        underWay++;
        if (underWay >= UNDER_WAY) stream.pause();
        void answer(call, frame, failed).finally(settle);
      },
    );
    stream.on("data", (chunk: Buffer) => {
      if (over) return;
      call.bytesIn += chunk.length;
      try {
        reader.add(chunk);
        // A client that does not read its answers is not read either.
        if (stream.writableLength >= calls.settings.bodyMax) stream.pause();
      } catch (error) {
        end(error);
      }
    });
    stream.on("drain", () => {
      if (underWay < UNDER_WAY) stream.resume();
    });
    stream.on("end", () => {
      ended = true;
      call.received = true;
      if (!over && reader.inside) {
        end(new TenonError("REQUEST_INVALID", { problem: "the call ended before its message was complete" }));
      }
      if (!over && underWay === 0) call.finish();
    });
  };

  return {
    path: "/inference.GRPCInferenceService/ModelStreamInfer",
    request: ModelInferRequest,
    response: ModelStreamInferResponse,
    clientStreams: true,
    start,
  };
}
