/** The kinds of hostile gRPC calls: each makes one from random numbers, the same for the same seed. To add one, add a row. */
import { gzipSync } from "node:zlib";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { type GrpcInput, inferRequest, simpleGrpc } from "../support/grpc-client.js";
import { type Dice, mutateBytes } from "./request-kinds.js";

export interface HostileCall {
  readonly path: string;
  /** Besides what every call of gRPC has; undefined takes one of those away. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** What the client sends: frames of messages, or what looks like them. */
  readonly bytes: Buffer;
  /** `waits`: for a status, which must come; `resets`: takes the call back; `vanishes`: ends the whole connection; `babbles`: the bytes are the connection itself. */
  readonly client: "waits" | "resets" | "vanishes" | "babbles";
}

const SERVICE = "/inference.GRPCInferenceService";
const INFER = `${SERVICE}/ModelInfer`;
const METHODS = [
  "ServerLive",
  "ServerReady",
  "ModelReady",
  "ServerMetadata",
  "ModelMetadata",
  "ModelConfig",
  "ModelStatistics",
  "RepositoryIndex",
  "RepositoryModelLoad",
  "RepositoryModelUnload",
  "SystemSharedMemoryStatus",
  "SystemSharedMemoryRegister",
  "CudaSharedMemoryRegister",
  "TraceSetting",
  "LogSettings",
];
const NASTY_TEXTS = [
  "",
  "\u0000",
  "é".repeat(40),
  "../../etc/passwd",
  "x".repeat(5000),
  "__proto__",
  "%00",
  "1e9",
];
const NASTY_DIMS = [0, -1, 1, 2, 16, 2 ** 31, 2n ** 63n - 1n, -(2n ** 63n), 2 ** 40];

/** A message behind its prefix: a flag, and the length that is claimed. */
function frame(message: Uint8Array, flag = 0, length = message.length): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(flag);
  prefix.writeUInt32BE(length >>> 0, 1);
  return Buffer.concat([prefix, message]);
}

const call = (bytes: Buffer, more: Partial<HostileCall> = {}): HostileCall => ({
  path: INFER,
  headers: {},
  bytes,
  client: "waits",
  ...more,
});

const good = (dice: Dice): Uint8Array => inferRequest(simpleGrpc(dice.upTo(100)));

function input(dice: Dice, name: string): GrpcInput {
  const raw = new Uint8Array(dice.pick([64, 64, 64, 0, 1, 63, 65, 128, 4096]));
  return {
    name: dice.upTo(4) === 0 ? dice.pick(NASTY_TEXTS) : name,
    datatype: dice.pick(["INT32", "INT32", "INT32", "FP32", "BYTES", "BOOL", "", "int32", "UINT64"]),
    shape: dice.upTo(2) === 0 ? [1, 16] : Array.from({ length: dice.upTo(12) }, () => dice.pick(NASTY_DIMS)),
    ...(dice.upTo(5) === 0 ? {} : { raw }),
    ...(dice.upTo(4) === 0 ? { contents: dice.bytes(dice.upTo(80)) } : {}),
    ...(dice.upTo(4) === 0 ? { parameters: { [dice.pick(NASTY_TEXTS)]: dice.pick([true, 7, "x"]) } } : {}),
  };
}

let bomb: Buffer | undefined;

/** 100 MiB of zeros. */
function bombBytes(): Buffer {
  bomb ??= gzipSync(Buffer.alloc(100 << 20), { level: 1 });
  return bomb;
}

/** What opens a connection of HTTP/2: the preface, and empty settings. */
const OPENING = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  h2Frame(4, 0, 0, Buffer.alloc(0)),
]);

function h2Frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export const CALL_KINDS = {
  bytes: (dice) => call(frame(mutateBytes(Buffer.from(good(dice)), dice))),
  noise: (dice) => call(frame(dice.bytes(dice.upTo(300)))),
  cut: (dice) => {
    const message = good(dice);
    return call(frame(message.subarray(0, dice.upTo(message.length))));
  },
  length: (dice) => {
    const message = good(dice);
    return call(
      frame(message, 0, dice.pick([0, 1, message.length - 1, message.length + 1, 2 ** 31, 2 ** 32 - 1])),
    );
  },
  flag: (dice) => call(frame(good(dice), dice.upTo(256))),
  compressed: (dice) =>
    call(frame(mutateBytes(gzipSync(good(dice)), dice), 1), { headers: { "grpc-encoding": "gzip" } }),
  bomb: () => call(frame(bombBytes(), 1), { headers: { "grpc-encoding": "gzip" } }),
  encoding: (dice) =>
    call(frame(good(dice), 1), {
      headers: { "grpc-encoding": dice.pick(["br", "snappy", "identity", "deflate", "", "gzip,gzip"]) },
    }),
  fields: (dice) =>
    call(
      frame(
        inferRequest({
          model: dice.upTo(4) === 0 ? dice.pick(NASTY_TEXTS) : "simple",
          version: dice.pick(["", "1", "-1", "99999999999999999999", "x"]),
          id: dice.pick(NASTY_TEXTS),
          inputs: [input(dice, "INPUT0"), input(dice, "INPUT1")].slice(0, 1 + dice.upTo(2)),
          outputs: dice.upTo(2) === 0 ? [] : [{ name: dice.pick(["OUTPUT0", "OUTPUT9", ...NASTY_TEXTS]) }],
        }),
      ),
    ),
  many: (dice) => {
    const count = dice.pick([100, 1000, 5000]);
    const inputs = Array.from({ length: count }, (_, i) => ({
      name: `i${i}`,
      datatype: "INT32",
      shape: [1],
    }));
    return call(frame(inferRequest({ model: "simple", inputs })));
  },
  groups: (dice) => {
    const depth = dice.pick([1, 50, 200, 20_000]);
    const writer = new BinaryWriter();
    for (let i = 0; i < depth; i++) writer.tag(15, WireType.StartGroup);
    if (dice.upTo(2) === 0) for (let i = 0; i < depth; i++) writer.tag(15, WireType.EndGroup);
    return call(frame(writer.finish()));
  },
  varints: (dice) => call(frame(Buffer.alloc(1 + dice.upTo(30), dice.pick([0x80, 0xff, 0x08])))),
  methods: (dice) => {
    const writer = new BinaryWriter()
      .tag(1, WireType.LengthDelimited)
      .string(dice.pick(["simple", ...NASTY_TEXTS]));
    const message = dice.upTo(2) === 0 ? dice.bytes(dice.upTo(60)) : writer.finish();
    return call(frame(message), { path: `${SERVICE}/${dice.pick(METHODS)}` });
  },
  paths: (dice) =>
    call(frame(good(dice)), {
      path: dice.pick([
        "/",
        "/x",
        `${SERVICE}/`,
        `${SERVICE}/modelinfer`,
        `${INFER}/`,
        "/a/b/c",
        "/grpc.health.v1.Health/Check",
      ]),
    }),
  metadata: (dice) =>
    call(frame(good(dice)), {
      headers: dice.pick<Readonly<Record<string, string | undefined>>>([
        { "grpc-timeout": dice.pick(["0n", "1n", "-1S", "99999999H", "1X", "", "999999999S"]) },
        { "content-type": dice.pick(["application/grpc+json", "application/grpc-web", "text/plain", ""]) },
        { te: undefined },
        { "x-request-id": dice.pick(["\t", "x".repeat(4000), "é"]) },
        { "trace-bin": dice.pick(["!!!", "AAA", "A".repeat(3000)]) },
        { authorization: "Bearer x".repeat(dice.upTo(50)) },
      ]),
    }),
  none: () => call(Buffer.alloc(0)),
  two: (dice) => call(Buffer.concat([frame(good(dice)), frame(good(dice))])),
  stream: (dice) => {
    const messages = Array.from({ length: 1 + dice.upTo(8) }, () =>
      frame(dice.upTo(2) === 0 ? good(dice) : mutateBytes(Buffer.from(good(dice)), dice)),
    );
    return call(Buffer.concat(messages), {
      path: `${SERVICE}/ModelStreamInfer`,
      headers: dice.upTo(2) === 0 ? { triton_grpc_error: "true" } : {},
    });
  },
  halfStream: (dice) => {
    const bytes = frame(good(dice));
    return call(bytes.subarray(0, dice.upTo(bytes.length)), { path: `${SERVICE}/ModelStreamInfer` });
  },
  reset: (dice) => call(frame(good(dice)).subarray(0, dice.upTo(200)), { client: "resets" }),
  vanish: (dice) => call(frame(good(dice)).subarray(0, dice.upTo(200)), { client: "vanishes" }),
  wire: (dice) => {
    const frames = Array.from({ length: 1 + dice.upTo(6) }, () =>
      h2Frame(
        dice.upTo(12),
        dice.upTo(256),
        dice.pick([0, 1, 1, 2, 3, 2 ** 31 - 1]),
        dice.bytes(dice.upTo(40)),
      ),
    );
    return call(Buffer.concat([OPENING, ...frames]), { client: "babbles" });
  },
} as const satisfies Readonly<Record<string, (dice: Dice) => HostileCall>>;

/** A hostile call of a kind that the dice choose. */
export function hostileCall(dice: Dice): HostileCall & { readonly kind: string } {
  const kind = dice.pick(Object.keys(CALL_KINDS) as (keyof typeof CALL_KINDS)[]);
  return { kind, ...CALL_KINDS[kind](dice) };
}
