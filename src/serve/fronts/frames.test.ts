/** Frames between a server and its fronts: there and back, cut anywhere, and foreign bytes refused. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { type Tensor, tensor } from "../../tensor/index.js";
import { BodyPool } from "../http/body-pool.js";
import { FRAME, type FrameHeader, FrameReader, FrameWriter, JOINED_BYTES } from "./frames.js";
import { type FramedRequest, RequestReader, sendRequest } from "./infer-frame.js";

const LIMIT = 2 ** 22;

function requestOf(inputs: Record<string, Tensor>, extra: Partial<FramedRequest> = {}): FramedRequest {
  return {
    path: "/v2/models/m/infer",
    id: "mine",
    address: "127.0.0.1",
    headers: {},
    bodyId: undefined,
    bytesIn: 12,
    late: false,
    parameters: new Map(),
    outputs: [],
    inputs,
    ...extra,
  };
}

const REQUESTS: readonly FramedRequest[] = [
  requestOf({ x: tensor([[1, 2.5, -3]]) }),
  requestOf(
    { a: tensor([1n, 2n], { dtype: "int64" }), ä: tensor(["", "ü\u0000"], { dtype: "string" }) },
    {
      bodyId: "ö-1",
      late: true,
      headers: { traceparent: "00-1", authorization: "Bearer k" },
      parameters: new Map<string, boolean | number | bigint | string>([
        ["priority", 3],
        ["sequence_id", 2n ** 60n],
        ["timeout", Number.POSITIVE_INFINITY],
        ["s", "text"],
        ["binary_data_output", true],
      ]),
      outputs: [{ name: "y", binary: true, classification: 3 }],
    },
  ),
  requestOf({ none: tensor([], { dtype: "float32" }), flag: tensor([true, false], { dtype: "bool" }) }),
  requestOf({
    large: tensor(
      Array.from({ length: 40_000 }, (_, i) => i),
      { dtype: "float32" },
    ),
  }),
];

/** What arrives, in a form that compares. */
function plain({ inputs, ...rest }: FramedRequest): unknown {
  const tensors = Object.entries(inputs).map(([name, { dtype, shape, ...own }]) => {
    void own;
    return [name, dtype, [...shape], inputs[name]!.toArray()];
  });
  return { ...rest, inputs: tensors };
}

describe("frames", () => {
  let ends: readonly [Socket, Socket];
  const server = createServer();
  before(async () => {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const accepted = once(server, "connection");
    const near = connect((server.address() as AddressInfo).port, "127.0.0.1");
    const [far] = (await accepted) as [Socket];
    ends = [near, far];
  });
  after(() => {
    for (const end of ends) end.destroy();
    server.close();
  });

  /** The bytes that requests are sent as. */
  async function bytesOf(requests: readonly FramedRequest[]): Promise<Buffer> {
    const [near, far] = ends;
    const chunks: Buffer[] = [];
    const take = (chunk: Buffer): void => void chunks.push(chunk);
    far.on("data", take);
    const writer = new FrameWriter(near);
    requests.forEach((request, i) => {
      assert.ok(sendRequest(writer, i + 1, request, LIMIT, () => undefined));
    });
    for (let last = -1, length = 0; last < length || length === 0; ) {
      last = length;
      await new Promise((resolve) => setTimeout(resolve, 20));
      length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    }
    far.off("data", take);
    return Buffer.concat(chunks);
  }

  it("arrive as they were sent, cut anywhere", async () => {
    const bytes = await bytesOf(REQUESTS);
    assert.ok(bytes.length > JOINED_BYTES, "one of them is large");
    for (const size of [1, 7, 4096, bytes.length]) {
      const requests = new RequestReader(LIMIT);
      const got: unknown[] = [];
      const reader = new FrameReader(LIMIT, new BodyPool(), (header, frame) => {
        assert.equal(header.kind, FRAME.infer);
        assert.equal(header.number, got.length + 1);
        got.push(plain(requests.read(header, frame)));
      });
      for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
      assert.deepEqual(got, REQUESTS.map(plain));
    }
  });

  it("that do not fit are not sent", () => {
    const writer = new FrameWriter(ends[0]);
    const never = (): void => assert.fail("nothing was sent");
    const large = REQUESTS.at(-1)!;
    assert.equal(sendRequest(writer, 1, large, 1024, never), false);
    assert.equal(sendRequest(writer, 1, requestOf({}, { bodyId: "x".repeat(30_000) }), LIMIT, never), false);
  });

  it("that are damaged are refused, and nothing else happens", async () => {
    const whole = await bytesOf(REQUESTS.slice(0, 3));
    const take = (bytes: Buffer): void => {
      const requests = new RequestReader(LIMIT);
      const reader = new FrameReader(LIMIT, new BodyPool(), (header: FrameHeader, frame) => {
        if (header.kind === FRAME.infer) requests.read(header, frame);
      });
      reader.push(bytes);
    };
    let refused = 0;
    for (let at = 0; at < whole.length; at++) {
      for (const value of [0, 1, 127, 255]) {
        const bytes = Buffer.from(whole);
        bytes[at] = value;
        try {
          take(bytes);
        } catch (error) {
          assert.ok(error instanceof RangeError || error instanceof SyntaxError, String(error));
          refused++;
        }
      }
    }
    assert.ok(refused > 50, `${refused} were refused`);
    for (const length of [0, 8, 17, LIMIT + 8]) {
      const header = Buffer.alloc(16);
      header.writeUInt32LE(length);
      assert.throws(() => take(header), RangeError);
    }
  });
});
