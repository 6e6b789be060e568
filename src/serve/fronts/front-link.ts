/** FrontLink: the server's end of the line to one front: requests come in, are run, and their answers go back. */
import type { Socket } from "node:net";
import { TenonError, toTenonError } from "../../base/index.js";
import { takeOver } from "../../runtime/runner/doorbell.js";
import type { ServerHandler } from "../http/handler.js";
import type { Exchanges } from "../http/open-exchange.js";
import { askedModel } from "../oip/infer.js";
import type { ModelWire } from "../oip/model-wire.js";
import { booleanParameter } from "../oip/request-parameters.js";
import { runRequest } from "../oip/run.js";
import type { OipServer } from "../oip/server.js";
import type { ServedModel } from "../served-model.js";
import { sendFace } from "./answer-frame.js";
import { FramedExchange, type Line } from "./framed-exchange.js";
import { FLAG, FRAME, type FrameHeader, FrameReader, FrameWriter } from "./frames.js";
import { type FramedRequest, RequestReader, readGone } from "./infer-frame.js";

/** Models whose answers a front knows how to begin; the oldest are told again. */
const FACES = 1024;

interface KnownFace {
  readonly face: number;
  readonly places: ReadonlyMap<string, number>;
}

export interface LinkOptions {
  readonly oip: OipServer;
  readonly handler: ServerHandler;
  readonly frameBytes: number;
  /** So many connections of the front have ended. */
  readonly parted: (count: number) => void;
  /** The front sent what it must not send. */
  readonly broken: (error: unknown) => void;
}

export class FrontLink implements Line {
  readonly exchanges: Exchanges;
  readonly writer: FrameWriter;
  readonly #socket: Socket;
  readonly #options: LinkOptions;
  readonly #requests: RequestReader;
  readonly #open = new Map<number, FramedExchange>();
  readonly #faces: (ServedModel | undefined)[] = new Array(FACES).fill(undefined);
  readonly #known = new WeakMap<ServedModel, KnownFace>();
  #nextFace = 0;

  constructor(pipe: Socket, options: LinkOptions) {
    const { exchanges } = options.handler;
    this.exchanges = exchanges;
    this.#options = options;
    this.#requests = new RequestReader(exchanges.settings.tensorElements);
    const reader = new FrameReader(options.frameBytes, exchanges.bodies, (header, frame) =>
      this.#take(header, frame),
    );
    this.#socket = takeOver(pipe, (chunk) => {
      try {
        reader.push(chunk);
      } catch (error) {
        options.broken(error);
        return;
      }
      if (this.writer.crowded) this.#wait();
    });
    this.writer = new FrameWriter(this.#socket);
    this.#socket.on("error", () => undefined); // its end follows
  }

  /** Requests without an answer that was taken. */
  get open(): number {
    return this.#open.size;
  }

  /** Nothing more is read until the front has taken what it was answered. */
  #wait(): void {
    this.#socket.pause();
    this.writer.whenDrained(() => this.#socket.resume());
  }

  #take(header: FrameHeader, frame: Buffer): void {
    switch (header.kind) {
      case FRAME.infer:
        this.#infer(header.number, this.#requests.read(header, frame), frame);
        break;
      case FRAME.closed:
        this.#open.get(header.number)?.end((header.flags & FLAG.taken) !== 0, header.value);
        this.#open.delete(header.number);
        break;
      case FRAME.gone:
        this.#note(readGone(header, frame));
        break;
      case FRAME.parted:
        this.#options.parted(header.value);
        break;
      default:
        throw new RangeError(`a frame of kind ${header.kind}`);
    }
  }

  /** For the log: it was open for a while, and nothing came of it. */
  #note(request: FramedRequest): void {
    const exchange = new FramedExchange(this, 0, request);
    try {
      this.#options.handler.enter(exchange);
    } catch {
      // nobody is left to be told
    }
    exchange.end(false, 0);
  }

  #infer(number: number, request: FramedRequest, frame: Buffer): void {
    if (this.#open.has(number)) throw new RangeError("two requests of one number");
    const exchange = new FramedExchange(this, number, request);
    this.#open.set(number, exchange);
    this.#run(exchange, request, frame).catch((error: unknown) => exchange.fail(toTenonError(error)));
  }

  /** What `dispatch` and `infer` do with a request whose headers and body the front has read. */
  async #run(exchange: FramedExchange, request: FramedRequest, frame: Buffer): Promise<void> {
    const { handler, oip } = this.#options;
    const { model, version } = handler.enter(exchange).params;
    if (exchange.exchanges.draining && request.late) throw new TenonError("SERVER_DRAINING");
    const find = oip.repository.finder(model, version);
    const waking = find.wake?.();
    if (waking !== undefined) await waking;
    askedModel(exchange, find);
    exchange.runningSince = performance.now();
    const allBinary = booleanParameter(request.parameters, "binary_data_output") ?? false;
    const ran = await runRequest(exchange, find, request, request.inputs, allBinary);
    // Only now: native code may still read the inputs of a run that failed or was given up.
    exchange.exchanges.bodies.give(frame);
    await exchange.answerRun(ran);
  }

  /** The number under which the front knows what the model's answers begin with; it is told before. */
  faceOf(model: ServedModel, wire: ModelWire): KnownFace {
    const before = this.#known.get(model);
    if (before !== undefined && this.#faces[before.face] === model) return before;
    const face = this.#nextFace;
    this.#nextFace = (face + 1) % FACES;
    this.#faces[face] = model;
    const known = { face, places: new Map(wire.outputs.map(({ name }, place) => [name, place])) };
    this.#known.set(model, known);
    sendFace(this.writer, face, { name: model.name, version: model.version, outputs: wire.outputs });
    return known;
  }

  /** The front is gone, and its clients with it. */
  close(): void {
    for (const exchange of this.#open.values()) exchange.end(false, 0);
    this.#open.clear();
    this.#socket.destroy();
  }
}
