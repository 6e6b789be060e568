/** The kinds of hostile requests: each makes one from random numbers, the same for the same seed. To add one, add a row. */
import { deflateSync, gzipSync } from "node:zlib";
import { chunked, DATATYPES, rawRequest } from "../support/served.js";

/** Whole numbers and choices from a seeded generator. */
export class Dice {
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** A whole number in [0, n). */
  upTo(n: number): number {
    return Math.floor(this.#random() * n);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.upTo(from.length)]!;
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.upTo(256)));
  }
}

export interface HostileRequest {
  readonly bytes: Buffer;
  /** Answers that a complete request must get; 0 where the server may wait for more, or close without an answer. */
  readonly answers: number;
  /** The client leaves without reading. */
  readonly leaves?: true;
}

const INFER = "/v2/models/simple/infer";
const PATHS = [
  INFER,
  "/v2/models/simple/versions/1/infer",
  "/v2",
  "/v2/health/live",
  "/v2/health/ready",
  "/v2/models/simple",
  "/v2/models/simple/ready",
  "/v2/repository/index",
  "/v2/repository/models/simple/load",
  "/v2/repository/models/simple/unload",
];
const NASTY: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  1.5,
  1e308,
  2 ** 53,
  -(2 ** 63),
  2 ** 64,
  "",
  "x",
  "\u0000",
  "\ud800",
  "__proto__",
  [],
  {},
  [[]],
  [null],
  [[1], [2, 3]],
  { a: { b: {} } },
  "INT32",
  "shared_memory_region",
  Array.from({ length: 64 }, () => 1),
];
const WORDS = [
  "NaN",
  "Infinity",
  "-Infinity",
  "1e999",
  "-0",
  "01",
  "1.",
  ".5",
  "0x10",
  "1e",
  "'a'",
  "undefined",
  "[",
  "}",
  "\\u12",
  "\t",
];

const row = (dice: Dice): number[] => Array.from({ length: 16 }, () => dice.upTo(100));

interface Body {
  [key: string]: unknown;
}

/** A good request to the model `simple`, as an object. */
function goodBody(dice: Dice): Body {
  const input = (name: string): Body => ({ name, shape: [1, 16], datatype: "INT32", data: row(dice) });
  return { id: "f", inputs: [input("INPUT0"), input("INPUT1")], outputs: [{ name: "OUTPUT0" }] };
}

/** Every place in a JSON value, as a function that puts something else there. */
function placesOf(value: unknown): ((next: unknown) => void)[] {
  if (typeof value !== "object" || value === null) return [];
  const holder = value as Body; // arrays too: their indices are keys
  return Object.keys(holder).flatMap((key) => [
    (next: unknown) => void (holder[key] = next),
    ...placesOf(holder[key]),
  ]);
}

const infer = (body: string | Uint8Array, headers: Record<string, string> = {}): HostileRequest => ({
  bytes: rawRequest(INFER, body, headers),
  answers: 1,
});

/** Bytes with a few of them changed, added or taken away, or the end cut off. */
export function mutateBytes(bytes: Buffer, dice: Dice): Buffer {
  let changed = Buffer.from(bytes);
  for (let i = 1 + dice.upTo(4); i > 0; i--) {
    const at = dice.upTo(changed.length);
    const what = dice.upTo(4);
    if (what === 0) changed[at] = dice.upTo(256);
    else if (what === 1)
      changed = Buffer.concat([changed.subarray(0, at), dice.bytes(1 + dice.upTo(8)), changed.subarray(at)]);
    else if (what === 2)
      changed = Buffer.concat([changed.subarray(0, at), changed.subarray(at + 1 + dice.upTo(8))]);
    else changed = Buffer.from(changed.subarray(0, at + 1));
    if (changed.length === 0) return Buffer.from("x");
  }
  return changed;
}

/** A request with a binary section to a model that gives back what it gets. */
function binaryRequest(
  datatype: string,
  shape: readonly unknown[],
  said: unknown,
  section: Uint8Array,
  header?: string,
): Buffer {
  const inputs = [{ name: "x", shape, datatype, parameters: { binary_data_size: said } }];
  const json = JSON.stringify({ inputs, parameters: { binary_data_output: true } });
  return rawRequest(`/v2/models/identity_${datatype}/infer`, Buffer.concat([Buffer.from(json), section]), {
    "Inference-Header-Content-Length": header ?? String(json.length),
  });
}

const SIZES: Readonly<Record<string, number>> = {
  BOOL: 1,
  UINT8: 1,
  INT8: 1,
  FP16: 2,
  BF16: 2,
  FP32: 4,
  FP64: 8,
  INT64: 8,
};

type Make = (dice: Dice) => HostileRequest;

export const REQUEST_KINDS = {
  good: (dice) => infer(JSON.stringify(goodBody(dice))),

  "JSON with changed bytes": (dice) => infer(mutateBytes(Buffer.from(JSON.stringify(goodBody(dice))), dice)),

  "JSON with a foreign value": (dice) => {
    const body = goodBody(dice);
    for (let i = 1 + dice.upTo(2); i > 0; i--) dice.pick(placesOf(body))(structuredClone(dice.pick(NASTY)));
    return infer(JSON.stringify(body));
  },

  "JSON with a foreign word": (dice) => {
    const text = JSON.stringify(goodBody(dice));
    const at = dice.pick([...text.matchAll(/[0-9]+|"[a-z]+"/gi)]);
    return infer(text.slice(0, at.index) + dice.pick(WORDS) + text.slice(at.index + at[0].length));
  },

  "JSON with members twice or unknown": (dice) => {
    const text = JSON.stringify(goodBody(dice));
    const extra = JSON.stringify({
      [dice.pick(["id", "inputs", "outputs", "parameters", "more", ""])]: dice.pick(NASTY),
    });
    return infer(`${text.slice(0, -1)},${extra.slice(1)}`);
  },

  "deep JSON": (dice) => {
    const depth = dice.pick([10, 60, 64, 65, 1000, 100_000]);
    const open = dice.pick(["[", '{"a":']);
    return infer(
      `{"deep":${open.repeat(depth)}1${(open === "[" ? "]" : "}").repeat(depth)},${JSON.stringify(goodBody(dice)).slice(1)}`,
    );
  },

  "shapes that lie": (dice) => {
    const body = goodBody(dice);
    const dims = Array.from({ length: dice.upTo(10) }, () =>
      dice.pick([0, 1, 2, 16, -1, 65_536, 2 ** 31, 2 ** 53, 1.5]),
    );
    for (const input of body.inputs as Body[]) input.shape = dims; // the body was made above
    return infer(JSON.stringify(body));
  },

  "names and datatypes": (dice) => {
    const body = goodBody(dice);
    const input = dice.pick(body.inputs as Body[]); // the body was made above
    input[dice.pick(["name", "datatype"])] = dice.pick([
      ...Object.keys(DATATYPES),
      "INPUT0",
      "TYPE_FP32",
      "",
      "x".repeat(1000),
    ]);
    if (dice.upTo(2) === 0)
      body.outputs = [{ name: dice.pick(["OUTPUT1", "OUTPUT9", ""]), parameters: { classification: 2 } }];
    return infer(JSON.stringify(body));
  },

  "binary sections that lie": (dice) => {
    const datatype = dice.pick(Object.keys(SIZES));
    const count = 1 + dice.upTo(64);
    const section = dice.bytes(Math.max(0, count * SIZES[datatype]! + dice.pick([0, 0, -1, 1, 7, -4])));
    const said = dice.pick([
      section.length,
      section.length,
      section.length + 1,
      0,
      -1,
      2 ** 40,
      2 ** 53,
      "4",
      1.5,
    ]);
    return { bytes: binaryRequest(datatype, [1, count], said, section), answers: 1 };
  },

  "string sections that lie": (dice) => {
    const section = dice.bytes(4 + dice.upTo(40));
    section.writeUInt32LE(dice.pick([0, 1, section.length - 4, section.length, 2 ** 24, 2 ** 32 - 1]));
    const shape = [1, dice.pick([0, 1, 2, 1000])];
    return { bytes: binaryRequest("BYTES", shape, section.length, section), answers: 1 };
  },

  "header lengths that lie": (dice) => {
    const header = dice.pick([
      "0",
      "1",
      "-1",
      "99999999",
      "9".repeat(30),
      "x",
      "",
      "1e3",
      "0x10",
      " 5",
      "1.5",
    ]);
    return { bytes: binaryRequest("FP32", [1, 2], 8, dice.bytes(8), header), answers: 1 };
  },

  "raw requests": (dice) => {
    const model = dice.pick(["identity_FP32", "identity_BYTES", "identity_BOOL", "simple"]);
    const headers = { "Inference-Header-Content-Length": "0" };
    return { bytes: rawRequest(`/v2/models/${model}/infer`, dice.bytes(dice.upTo(70)), headers), answers: 1 };
  },

  compressed: (dice) => {
    const text = JSON.stringify(goodBody(dice));
    const encoding = dice.pick(["gzip", "deflate", "br", "gzip, gzip", ""]);
    const packed = encoding === "deflate" ? deflateSync(text) : gzipSync(text);
    return infer(dice.upTo(2) === 0 ? mutateBytes(packed, dice) : packed, { "Content-Encoding": encoding });
  },

  "compression bombs": (dice) => {
    const length = dice.pick([1 << 20, 9 << 20, 70 << 20]);
    bombs[length] ??= gzipSync(Buffer.alloc(length, 32));
    return infer(bombs[length], { "Content-Encoding": "gzip" });
  },

  chunks: (dice) => {
    const head = rawRequest(INFER, "", { "Transfer-Encoding": "chunked" });
    const text = JSON.stringify(goodBody(dice));
    const parts: string[] = [];
    for (let at = 0; at < text.length; ) {
      const next = at + 1 + dice.upTo(dice.pick([1, 50]));
      parts.push(text.slice(at, next));
      at = next;
    }
    return { bytes: Buffer.concat([head, chunked(parts)]), answers: 1 };
  },

  "broken chunks": (dice) => {
    const head = rawRequest(INFER, "", {
      "Transfer-Encoding": dice.pick(["chunked", "chunked, chunked", "gzip, chunked", "x"]),
    });
    return {
      bytes: Buffer.concat([head, mutateBytes(chunked([JSON.stringify(goodBody(dice))]), dice)]),
      answers: 0,
    };
  },

  "lengths that lie": (dice) => {
    const length = dice.pick([
      "0",
      "1",
      "100000",
      "-5",
      "5, 5",
      "+5",
      "0x5",
      "99999999999999999999",
      "5\r\nContent-Length: 6",
    ]);
    const both: Record<string, string> =
      dice.upTo(3) === 0 ? { "X-Transfer": "1\r\nTransfer-Encoding: chunked" } : {};
    return {
      bytes: rawRequest(INFER, JSON.stringify(goodBody(dice)), { "Content-Length": length, ...both }),
      answers: 0,
    };
  },

  "HTTP with changed bytes": (dice) => ({
    bytes: mutateBytes(rawRequest(dice.pick(PATHS), JSON.stringify(goodBody(dice))), dice),
    answers: 0,
  }),

  noise: (dice) => ({ bytes: dice.bytes(1 + dice.upTo(300)), answers: 0 }),

  "paths and verbs": (dice) => {
    const odd = [
      "/",
      "//",
      "/v2/..",
      "/v2/models/..%2f..%2fetc/infer",
      "/v2/models/%00/infer",
      "/v2/models/%zz",
      "*",
      "/v2?x=1",
    ];
    const long = `/v2/models/${"m".repeat(dice.pick([128, 129, 5000]))}/infer`;
    const path = dice.pick([
      ...PATHS,
      ...odd,
      long,
      "/v2/models/simple/versions/0/infer",
      "/v2/models/simple/versions/-1",
    ]);
    const verb = dice.pick(["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"]);
    return { bytes: rawRequest(path, verb === "POST" ? "{}" : "", {}, verb), answers: 1 };
  },

  headers: (dice) => {
    const many = Object.fromEntries(
      Array.from({ length: dice.pick([3, 90, 110]) }, (_, i) => [`X-${i}`, "v"]),
    );
    const value = "v".repeat(dice.pick([10, 10_000, 20_000]));
    const odd = {
      Host: dice.pick(["localhost", "evil.example", "", "[::1]"]),
      Origin: dice.pick(["null", "https://a.b"]),
    };
    return {
      bytes: rawRequest("/v2", "", { ...many, "X-Long": value, ...(dice.upTo(2) === 0 ? odd : {}) }, "GET"),
      answers: 1,
    };
  },

  expectations: (dice) =>
    infer(JSON.stringify(goodBody(dice)), {
      Expect: dice.pick(["", "100-continue", "200-ok", "100-continue, x"]),
    }),

  pipelined: (dice) => {
    const count = 2 + dice.upTo(6);
    const each = (): Buffer => rawRequest(INFER, dice.upTo(3) === 0 ? "{" : JSON.stringify(goodBody(dice)));
    return { bytes: Buffer.concat(Array.from({ length: count }, each)), answers: count };
  },

  "leaves while it sends": (dice) => {
    const request = rawRequest(INFER, JSON.stringify(goodBody(dice)));
    return { bytes: request.subarray(0, 1 + dice.upTo(request.length - 1)), answers: 0, leaves: true };
  },

  "leaves without its answer": (dice) => ({ ...infer(JSON.stringify(goodBody(dice))), leaves: true }),

  repository: (dice) => {
    const path = dice.pick([
      "/v2/repository/index",
      "/v2/repository/models/simple/load",
      "/v2/repository/models/no/unload",
    ]);
    const body = dice.pick([
      "",
      "{}",
      '{"ready":true}',
      '{"ready":1}',
      '{"parameters":{"config":"{}"}}',
      '{"parameters":[]}',
      "[",
    ]);
    return { bytes: rawRequest(path, body), answers: 1 };
  },
} as const satisfies Readonly<Record<string, Make>>;

const bombs: Record<number, Buffer> = {};

/** One request of any kind. */
export function hostileRequest(dice: Dice): HostileRequest & { readonly kind: string } {
  const kind = dice.pick(Object.keys(REQUEST_KINDS) as (keyof typeof REQUEST_KINDS)[]);
  return { kind, ...REQUEST_KINDS[kind](dice) };
}
