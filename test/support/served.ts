/** A real server with small real models, and a client that speaks raw sockets. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { graph, writeModel } from "tenon/onnx";
import { Engine } from "tenon/runtime";
import { type RunningServer, type ServeOptions, serve } from "tenon/serve";
import type { DType } from "tenon/tensor";

/** Two int32 inputs of 16 columns: their sum and their difference, as Triton's example models have them. */
export function simpleModel(): Uint8Array {
  const g = graph({ name: "simple" });
  const a = g.input("INPUT0", "int32", ["N", 16]);
  const b = g.input("INPUT1", "int32", ["N", 16]);
  g.output(g.add("Add", [a, b]), "OUTPUT0");
  g.output(g.add("Sub", [a, b]), "OUTPUT1");
  return writeModel(g.model());
}

/** Gives back what it gets: `x` of any length per row. */
export function identityModel(dtype: DType): Uint8Array {
  const g = graph({ name: `identity_${dtype}` });
  g.output(g.add("Identity", [g.input("x", dtype, ["N", "C"])]), "y");
  return writeModel(g.model());
}

/** Takes long: a square matrix multiplied with itself again and again. */
export function slowModel(times: number): Uint8Array {
  const g = graph({ name: "slow" });
  const x = g.input("x", "float32", ["side", "side"]);
  let y = x;
  for (let i = 0; i < times; i++) y = g.add("MatMul", [y, x]);
  g.output(y, "y");
  return writeModel(g.model());
}

/** The dtypes that the protocol carries, by its names. */
export const DATATYPES = {
  BOOL: "bool",
  UINT8: "uint8",
  UINT16: "uint16",
  UINT32: "uint32",
  UINT64: "uint64",
  INT8: "int8",
  INT16: "int16",
  INT32: "int32",
  INT64: "int64",
  FP16: "float16",
  FP32: "float32",
  FP64: "float64",
  BYTES: "string",
  BF16: "bfloat16",
} as const satisfies Record<string, DType>;

export interface Served extends AsyncDisposable {
  readonly engine: Engine;
  readonly server: RunningServer;
  readonly url: string;
}

/** An engine with `simple` and one `identity_<datatype>` model per datatype, served on a free port. */
export async function startServed(options: ServeOptions = {}): Promise<Served> {
  const engine = await Engine.open({ cache: false });
  await engine.load(simpleModel(), { name: "simple", calibrate: false });
  for (const [datatype, dtype] of Object.entries(DATATYPES)) {
    await engine.load(identityModel(dtype), {
      name: `identity_${datatype}`,
      calibrate: false,
      allowZero: true,
    });
  }
  const server = await serve(engine, { port: 0, ...options });
  const dispose = async (): Promise<void> => {
    await server.close();
    await engine.close();
  };
  return { engine, server, url: server.url, [Symbol.asyncDispose]: dispose };
}

/** One HTTP answer as it came. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

/** What no client may ever read: paths of the machine, lines of sources, names of native functions, stack traces. */
const PRIVATE =
  /(?:^|[\s"'(=])(?:\/(?:bin|dev|etc|home|opt|private|proc|root|srv|tmp|usr|var|work|Users)\b|[A-Z]:\\)|\.(?:cc|cpp|h|hpp|c|js|ts|mjs|cjs)[:(]\d+|onnxruntime::|node_modules|\bat \S+ \(|\bnode:internal/;

/** Throws when an answer that is not a success tells what is private. */
export function assertDiscreet(status: number, body: string): void {
  if (status < 400) return;
  const found = PRIVATE.exec(body);
  if (found !== null) throw new Error(`an answer tells "${found[0]}": ${body.slice(0, 500)}`);
}

/** A connection on which bytes are written as they are, and answers are read one after the other. */
export class RawConnection {
  readonly socket: Socket;
  #received = Buffer.alloc(0);
  /** What `received` lies in, with room behind it: joining each chunk to all before would be quadratic. */
  #room = Buffer.alloc(0);
  #wake: (() => void) | undefined;
  #ended = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#take(chunk);
      this.#wake?.();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake?.();
    };
    socket.on("close", end);
    socket.on("end", end);
    socket.on("error", end);
  }

  #take(chunk: Buffer): void {
    const { length } = this.#received;
    const from = this.#received.byteOffset - this.#room.byteOffset;
    const inside = this.#received.buffer === this.#room.buffer && from >= 0;
    if (!inside || from + length + chunk.length > this.#room.length) {
      const room = Buffer.allocUnsafeSlow(2 * (length + chunk.length));
      room.set(this.#received);
      this.#room = room;
      room.set(chunk, length);
      this.#received = room.subarray(0, length + chunk.length);
    } else {
      this.#room.set(chunk, from + length);
      this.#received = this.#room.subarray(from, from + length + chunk.length);
    }
  }

  static async open(port: number): Promise<RawConnection> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    return new RawConnection(socket);
  }

  /** True when the other side has closed the connection and everything was read. */
  get ended(): boolean {
    return this.#ended && this.#received.length === 0;
  }

  write(data: string | Uint8Array): void {
    this.socket.write(typeof data === "string" ? Buffer.from(data, "latin1") : data);
  }

  async #more(): Promise<boolean> {
    if (this.#ended) return false;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    return true;
  }

  /** The next answer; undefined when the connection ends before one is complete. */
  async answer(): Promise<RawAnswer | undefined> {
    let end = this.#received.indexOf("\r\n\r\n");
    while (end < 0) {
      if (!(await this.#more())) return undefined;
      end = this.#received.indexOf("\r\n\r\n");
    }
    const [first, ...lines] = this.#received.subarray(0, end).toString("latin1").split("\r\n");
    const headers = new Map(
      lines.map((line) => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
      }),
    );
    const length = Number(headers.get("content-length") ?? 0);
    while (this.#received.length < end + 4 + length) if (!(await this.#more())) return undefined;
    const body = Buffer.from(this.#received.subarray(end + 4, end + 4 + length));
    this.#received = this.#received.subarray(end + 4 + length);
    const status = Number(first?.split(" ")[1]);
    assertDiscreet(status, body.toString());
    return { status, headers, body };
  }

  /** Waits until the other side closes. */
  async closed(): Promise<void> {
    while (await this.#more()) this.#received = Buffer.alloc(0);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

/** Waits until something is so; throws after five seconds. */
export async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + 5000;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`after five seconds not yet: ${holds}`);
    await sleep(2);
  }
}

/** A request as bytes; Content-Length is added unless a length or an encoding is given. */
export function rawRequest(
  path: string,
  body: string | Uint8Array = "",
  headers: Readonly<Record<string, string>> = {},
  method = "POST",
): Buffer {
  const bytes = typeof body === "string" ? Buffer.from(body) : Buffer.from(body);
  const all: Record<string, string> = {
    Host: "localhost",
    "Content-Length": String(bytes.length),
    ...headers,
  };
  if ("Transfer-Encoding" in headers) delete all["Content-Length"];
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${head.join("")}\r\n`, "latin1"), bytes]);
}

/** A body in chunks, as `Transfer-Encoding: chunked` has it. */
export function chunked(parts: readonly (string | Uint8Array)[]): Buffer {
  const chunks = parts.flatMap((part) => [
    Buffer.from(`${part.length.toString(16)}\r\n`),
    Buffer.from(part),
    Buffer.from("\r\n"),
  ]);
  return Buffer.concat([...chunks, Buffer.from("0\r\n\r\n")]);
}

/** Sends one request on a connection of its own. */
export async function send(port: number, request: Uint8Array): Promise<RawAnswer> {
  using connection = await RawConnection.open(port);
  connection.write(request);
  const answer = await connection.answer();
  if (answer === undefined) throw new Error("the connection ended without an answer");
  return answer;
}

/** The body of the example model's request: a row of `start, start + 1, …` and a row of ones. */
export function simpleRequest(start = 0, extra: object = {}): string {
  const row = Array.from({ length: 16 }, (_, i) => start + i);
  return JSON.stringify({
    inputs: [
      { name: "INPUT0", shape: [1, 16], datatype: "INT32", data: row },
      { name: "INPUT1", shape: [1, 16], datatype: "INT32", data: row.map(() => 1) },
    ],
    ...extra,
  });
}
