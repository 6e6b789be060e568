/** Calls whose messages come and go as they please, each read and written whole. */
import { TenonError, toTenonError } from "../../base/index.js";
import { decode } from "../protobuf/decode.js";
import { encode } from "../protobuf/encode.js";
import type { DecodedOf, Fields, MessageType, Written } from "../protobuf/table.js";
import type { Call } from "./call.js";
import { contentOf, type Frame, FrameReader } from "./frames.js";

/** A call that receives and sends messages as it goes. */
export interface StreamMethod {
  readonly path: string;
  readonly open?: true;
  readonly whileDraining?: true;
  readonly request: MessageType<Fields>;
  readonly response: MessageType<Fields>;
  /** The client sends more than one message. */
  readonly clientStreams: boolean;
  readonly start: (call: Call) => void;
}

/** What answers one call. */
export interface Conversation<Q> {
  /** One message of the client. */
  asked(message: Q): void | Promise<void>;
  /** The client has no more messages. */
  ended(): void;
}

type Described = Pick<StreamMethod, "path" | "open" | "whileDraining" | "clientStreams">;

/** A method whose requests are few and small: they are answered one after the other. */
export function messageStream<Q extends MessageType<Fields>, R extends MessageType<Fields>>(
  described: Described,
  request: Q,
  response: R,
  converse: (call: Call, send: (message: Written<DecodedOf<R>>) => void) => Conversation<DecodedOf<Q>>,
): StreamMethod {
  const start = (call: Call): void => {
    call.streaming = true;
    const { stream, calls } = call;
    let over = false;
    const fail = (error: unknown): void => {
      over = true;
      call.fail(toTenonError(error));
    };
    const send = (message: Written<DecodedOf<R>>): void => {
      void Promise.resolve(call.send([encode(response, message)])).catch(fail);
    };
    const conversation = converse(call, send);
    let turn: Promise<void> = Promise.resolve();
    const read = async (frame: Frame): Promise<void> => {
      if (over) return;
      const bytes = await contentOf(frame, call.metadata("grpc-encoding"), MOST_BYTES);
      await conversation.asked(decode(request, bytes) as DecodedOf<Q>); // decoded by the very table
      if (stream.writableLength > MOST_BYTES) stream.pause();
    };
    const reader = new FrameReader(
      { maxBytes: MOST_BYTES, pool: calls.bodies, alignAt: undefined },
      (frame) => {
        turn = turn.then(() => read(frame)).catch(fail);
      },
    );
    stream.on("data", (chunk: Buffer) => {
      if (over) return;
      call.bytesIn += chunk.length;
      try {
        reader.add(chunk);
      } catch (error) {
        fail(error);
      }
    });
    stream.on("drain", () => stream.resume());
    stream.on("end", () => {
      call.received = true;
      if (reader.inside)
        fail(
          new TenonError("REQUEST_INVALID", { problem: "the call ended before its message was complete" }),
        );
      void turn.then(() => {
        if (!over) conversation.ended();
      });
    });
  };
  return { ...described, request, response, start };
}

/** Largest message, and most bytes that wait for a slow client. */
const MOST_BYTES = 64 * 1024;
