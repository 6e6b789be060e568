/** The same requests to a real Triton server and to ours: statuses and bodies must be the same, but for what is listed. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import {
  accumulator,
  accumulatorConfig,
  type ServedRepository,
  serveRepository,
} from "../support/repository.js";
import { DATATYPES, identityModel, simpleModel } from "../support/served.js";
import { type RealTriton, startTriton } from "./triton-server.js";

const value = (name: string, type: string, dims: string): string =>
  `{ name: "${name}" data_type: TYPE_${type} dims: [ ${dims} ] }`;
const simple = (extra: string): string =>
  `max_batch_size: 8
input [ ${value("INPUT0", "INT32", "16")}, ${value("INPUT1", "INT32", "16")} ]
output [ ${value("OUTPUT0", "INT32", "16")}, ${value("OUTPUT1", "INT32", "16")} ]
instance_group [ { count: 1 kind: KIND_CPU } ]
${extra}`;

const CONFIGS: Readonly<Record<string, string>> = {
  simple: simple("dynamic_batching { }"),
  simple_bounded: simple(
    "dynamic_batching { max_queue_delay_microseconds: 1000 priority_levels: 2 default_priority_level: 2 }",
  ),
  sequence: accumulatorConfig("direct { }"),
  ...Object.fromEntries(
    Object.keys(DATATYPES)
      .filter((type) => type !== "BF16")
      .map((type) => {
        const name = type === "BYTES" ? "STRING" : type;
        return [
          `identity_${type}`,
          `max_batch_size: 8 input [ ${value("x", name, "-1")} ] output [ ${value("y", name, "-1")} ]
           instance_group [ { count: 1 kind: KIND_CPU } ]`,
        ];
      }),
  ),
};

const onnxOf = (name: string): Uint8Array => {
  if (name.startsWith("simple")) return simpleModel();
  if (name === "sequence") return accumulator();
  return identityModel(DATATYPES[name.slice("identity_".length) as keyof typeof DATATYPES]);
};

interface Ask {
  readonly path: string;
  readonly method?: string;
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Told {
  readonly status: number;
  readonly body: unknown;
}

async function ask(url: string, { path, method = "POST", body, headers = {} }: Ask): Promise<Told> {
  const answer = await fetch(`${url}${path}`, {
    method,
    headers,
    body: body === undefined ? null : typeof body === "string" ? body : Buffer.from(body),
  });
  const text = await answer.text();
  // NaN and infinities stand bare in both.
  const quoted = text.replace(/(?<=[[,:])(-?Infinity|NaN)(?=[\],}])/g, '"$1"');
  let parsed: unknown = text;
  try {
    parsed = JSON.parse(quoted);
  } catch {
    // A body that is no JSON is compared as text.
  }
  return { status: answer.status, body: parsed };
}

const row = (from: number): number[] => Array.from({ length: 16 }, (_, i) => from + i);
const tensor = (name: string, data: unknown, extra: object = {}): object => ({
  name,
  datatype: "INT32",
  shape: [1, 16],
  data,
  ...extra,
});
const both = [tensor("INPUT0", row(0)), tensor("INPUT1", row(1))];
const infer = (model: string, request: object, headers: Record<string, string> = {}): Ask => ({
  path: `/v2/models/${model}/infer`,
  body: JSON.stringify(request),
  headers,
});
const identity = (type: string, data: string, shape = "[1,2]"): Ask => ({
  path: `/v2/models/identity_${type}/infer`,
  body: `{"inputs":[{"name":"x","datatype":"${type}","shape":${shape},"data":${data}}]}`,
});
const step = (parameters: object, shape: readonly number[] = [1, 1]): Ask =>
  infer("sequence", {
    inputs: [{ name: "INPUT", datatype: "INT32", shape, data: new Array(shape[0]).fill(3) }],
    outputs: [{ name: "SUM" }],
    parameters,
  });

/** Raw tensors behind a header for one input `x`. */
const raw = (type: string, shape: string, bytes: Uint8Array, size = bytes.length): Ask => {
  const header = `{"inputs":[{"name":"x","datatype":"${type}","shape":${shape},"parameters":{"binary_data_size":${size}}}]}`;
  return {
    path: `/v2/models/identity_${type === "INT4" ? "INT32" : type}/infer`,
    body: Buffer.concat([Buffer.from(header), bytes]),
    headers: { "Inference-Header-Content-Length": String(header.length) },
  };
};
const element = (text: string): Buffer => {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.of(bytes.length, 0, 0, 0), bytes]);
};

/** Every request of the script, by what it tries. */
const SCRIPT: Readonly<Record<string, Ask>> = {
  metadata: { path: "/v2/models/simple", method: "GET" },
  "metadata of a version": { path: "/v2/models/simple/versions/1", method: "GET" },
  "metadata of no version": { path: "/v2/models/simple/versions/7", method: "GET" },
  "metadata of no model": { path: "/v2/models/nope", method: "GET" },
  "ready of no model": { path: "/v2/models/nope/ready", method: "GET" },
  "stats of no model": { path: "/v2/models/nope/stats", method: "GET" },
  "an unknown path": { path: "/v2/nothing", method: "GET" },
  "a wrong verb": { path: "/v2/models/simple/infer", method: "GET" },
  "two tensors": infer("simple", { inputs: both }),
  "an id": infer("simple", { id: "abc", inputs: both }),
  "one output": infer("simple", { inputs: both, outputs: [{ name: "OUTPUT1" }] }),
  "an output twice": infer("simple", { inputs: both, outputs: [{ name: "OUTPUT1" }, { name: "OUTPUT1" }] }),
  "outputs in another order": infer("simple", {
    inputs: both,
    outputs: [{ name: "OUTPUT1" }, { name: "OUTPUT0" }],
  }),
  classification: infer("simple", {
    inputs: both,
    outputs: [{ name: "OUTPUT0", parameters: { classification: 3 } }],
  }),
  "nested data": infer("simple", { inputs: [tensor("INPUT0", [row(0)]), both[1]!] }),
  "unknown members": infer("simple", { inputs: both, more: { a: [1] } }),
  "own parameters": infer("simple", { inputs: both, parameters: { mine: "a", count: 3, flag: true } }),
  "a parameter that is a list": infer("simple", { inputs: both, parameters: { mine: [1] } }),
  "a reserved parameter": infer("simple", { inputs: both, parameters: { triton_mine: 1 } }),
  "a priority": infer("simple_bounded", { inputs: both, parameters: { priority: 1 } }),
  "a priority out of range": infer("simple_bounded", { inputs: both, parameters: { priority: 9 } }),
  "no input": infer("simple", { inputs: [] }),
  "one input too few": infer("simple", { inputs: [both[0]!] }),
  "an unknown input": infer("simple", { inputs: [...both, tensor("Z", row(0))] }),
  "an unknown input in place of one": infer("simple", { inputs: [both[0]!, tensor("Z", row(0))] }),
  "an input twice": infer("simple", { inputs: [both[0]!, both[0]!] }),
  "an unknown output": infer("simple", { inputs: both, outputs: [{ name: "NOPE" }] }),
  "another datatype": infer("simple", { inputs: [tensor("INPUT0", row(0), { datatype: "FP32" }), both[1]!] }),
  "no datatype that there is": infer("simple", {
    inputs: [tensor("INPUT0", row(0), { datatype: "INT4" }), both[1]!],
  }),
  "a narrow row": infer("simple", { inputs: [tensor("INPUT0", [1, 2], { shape: [1, 2] }), both[1]!] }),
  "rows of two sizes": infer("simple", {
    inputs: [tensor("INPUT0", [...row(0), ...row(0)], { shape: [2, 16] }), both[1]!],
  }),
  "too many rows": infer("simple", {
    inputs: ["INPUT0", "INPUT1"].map((name) => tensor(name, new Array(9 * 16).fill(1), { shape: [9, 16] })),
  }),
  "data that does not fill the shape": infer("simple", { inputs: [tensor("INPUT0", [1]), both[1]!] }),
  "no data": infer("simple", { inputs: [{ name: "INPUT0", datatype: "INT32", shape: [1, 16] }, both[1]!] }),
  "no JSON": { path: "/v2/models/simple/infer", body: "{ no JSON" },
  "no inputs member": infer("simple", {}),
  "an unknown model": infer("nope", { inputs: both }),
  "an unknown version": { ...infer("simple", { inputs: both }), path: "/v2/models/simple/versions/9/infer" },
  "a header length out of range": infer(
    "simple",
    { inputs: both },
    { "Inference-Header-Content-Length": "99999" },
  ),
  "bytes left over": {
    path: "/v2/models/identity_INT32/infer",
    body: Buffer.concat([Buffer.from('{"inputs":[]}'), Buffer.alloc(4)]),
    headers: { "Inference-Header-Content-Length": "13" },
  },
  "raw floats": raw("FP32", "[1,2]", Buffer.alloc(8)),
  "too few raw bytes": raw("FP32", "[1,2]", Buffer.alloc(4)),
  "too many raw bytes": raw("FP32", "[1,2]", Buffer.alloc(12)),
  "raw bytes that are missing": raw("FP32", "[1,2]", Buffer.alloc(4), 8),
  "raw bytes of no datatype": raw("INT4", "[1,2]", Buffer.alloc(8)),
  "raw texts": raw("BYTES", "[1,2]", Buffer.concat([element("a"), element("")])),
  "a raw text that ends too early": raw(
    "BYTES",
    "[1,2]",
    Buffer.concat([element("a"), Buffer.of(9, 0, 0, 0, 65)]),
  ),
  "one raw text too few": raw("BYTES", "[1,2]", element("a")),
  "one raw text too many": raw("BYTES", "[1,2]", Buffer.concat(["a", "b", "c"].map(element))),
  "a length of a raw text that is cut off": raw(
    "BYTES",
    "[1,2]",
    Buffer.concat([element("a"), Buffer.of(1, 0)]),
  ),
  "no raw text": raw("BYTES", "[1,2]", Buffer.alloc(0)),
  "a body of raw floats alone": {
    path: "/v2/models/identity_FP32/infer",
    body: Buffer.alloc(8),
    headers: { "Inference-Header-Content-Length": "0" },
  },
  "a raw body of no whole elements": {
    path: "/v2/models/identity_FP32/infer",
    body: Buffer.alloc(7),
    headers: { "Inference-Header-Content-Length": "0" },
  },
  "a raw body for two inputs": {
    path: "/v2/models/simple/infer",
    body: Buffer.alloc(64),
    headers: { "Inference-Header-Content-Length": "0" },
  },
  "an unknown encoding": infer("simple", { inputs: both }, { "Content-Encoding": "br" }),
  "64-bit integers": identity("INT64", "[9223372036854775807,-9223372036854775808]"),
  "unsigned 64-bit integers": identity("UINT64", "[18446744073709551615,0]"),
  booleans: identity("BOOL", "[true,false]"),
  texts: identity("BYTES", '["ä\\u0000","\\"quoted\\""]'),
  "small integers": identity("INT8", "[-128,127]"),
  doubles: identity("FP64", "[0.1,1e300]"),
  "floats that are exact": identity("FP32", "[0.5,-3]"),
  "floats that are not numbers": identity("FP32", "[NaN,-Infinity]"),
  "floats that are rounded": identity("FP32", "[0.1,3.4]"),
  "half floats in JSON": identity("FP16", "[1,2]"),
  "a number for a text": identity("BYTES", "[1,2]"),
  "a number for a boolean": identity("BOOL", "[1,0]"),
  "a fraction for an integer": identity("INT32", "[1.5,2]"),
  "an empty row": identity("INT32", "[]", "[1,0]"),
  "a negative dimension": identity("INT32", "[1]", "[1,-1]"),
  "a sequence without an id": step({}),
  "a sequence with the id 0": step({ sequence_id: 0, sequence_start: true }),
  "a sequence without its start": step({ sequence_id: 3 }),
  "a sequence's start": step({ sequence_id: 4, sequence_start: true }),
  "a sequence's next": step({ sequence_id: 4 }),
  "a sequence's end": step({ sequence_id: 4, sequence_end: true }),
  "a sequence after its end": step({ sequence_id: 4 }),
  "two rows in a sequence": step({ sequence_id: 5, sequence_start: true }, [2, 1]),
  "a load of no model": { path: "/v2/repository/models/nope/load" },
  "an unload of no model": { path: "/v2/repository/models/nope/unload" },
  "an unload": { path: "/v2/repository/models/identity_INT16/unload" },
  generate: { path: "/v2/models/identity_FP32/generate", body: '{"x":[1.5,2],"id":"q"}' },
  "generate without its input": { path: "/v2/models/identity_FP32/generate", body: '{"z":1}' },
};

/** What differs, and why. */
const CLIENTS_FAULT = "the request is at fault: 400 in place of 500";
const DIFFERENT: Readonly<Record<string, string>> = {
  "outputs in another order":
    "the Python backend answers in the order of its own code, we in that of the request",
  "an unknown input": "their text lists the inputs in the order of a hash, and lost a bracket",
  "rows of two sizes": "they name the input that comes first in a hash, we the first that differs",
  "a narrow row": "the note behind the shapes is in our own words",
  "data that does not fill the shape": CLIENTS_FAULT,
  "no JSON": CLIENTS_FAULT,
  "no inputs member": CLIENTS_FAULT,
  "a number for a text": CLIENTS_FAULT,
  "a number for a boolean": CLIENTS_FAULT,
  "a fraction for an integer": CLIENTS_FAULT,
  "a negative dimension": CLIENTS_FAULT,
  "floats that are rounded":
    "the shortest text that reads back as the same float32, theirs as the same double",
  "raw bytes of no datatype": "our text is that of the same request in JSON",
  "an empty row": "some kernels of ONNX Runtime do not survive dimensions of 0",
};

describe("a real Triton server and ours", () => {
  const home = process.env.TENON_INTEROP!;
  const folder = mkdtempSync(join(tmpdir(), "tenon-triton-"));
  let triton: RealTriton;
  let ours: ServedRepository;
  before(async () => {
    triton = await startTriton(home, folder, CONFIGS);
    ours = await serveRepository(
      Object.fromEntries(
        Object.entries(CONFIGS).flatMap(([name, config]) => [
          [`${name}/config.pbtxt`, config],
          [`${name}/1/model.onnx`, onnxOf(name)],
        ]),
      ),
      "--model-control",
      "explicit",
      "--load-model",
      "*",
    );
  });
  after(async () => {
    await ours?.[Symbol.asyncDispose]();
    await triton?.end();
    rmSync(folder, { recursive: true, force: true });
  });

  it("load the same models", () => {
    assert.deepEqual(ours.ready.failed, []);
    assert.equal(ours.ready.models.length, Object.keys(CONFIGS).length);
  });

  for (const [name, request] of Object.entries(SCRIPT)) {
    it(`answer alike: ${name}`, async () => {
      const [theirs, own] = [await ask(triton.url, request), await ask(ours.ready.url, request)];
      const alike = JSON.stringify(normal(theirs)) === JSON.stringify(normal(own));
      if (DIFFERENT[name] !== undefined) assert.ok(!alike, `does not differ any more: ${DIFFERENT[name]}`);
      else assert.deepEqual(normal(own), normal(theirs));
    });
  }

  it("count alike", async () => {
    const stats = async (url: string): Promise<unknown> => {
      const told = await ask(url, { path: "/v2/models/simple/stats", method: "GET" });
      const [{ inference_count, execution_count, inference_stats, batch_stats }] = (
        told.body as { model_stats: [Stats] }
      ).model_stats;
      return {
        inference_count,
        execution_count,
        success: inference_stats.success!.count,
        batches: batch_stats.map(({ batch_size, compute_infer }) => [batch_size, compute_infer.count]),
      };
    };
    assert.deepEqual(await stats(ours.ready.url), await stats(triton.url));
  });
});

interface Stats {
  readonly inference_count: number;
  readonly execution_count: number;
  readonly inference_stats: Readonly<Record<string, { readonly count: number }>>;
  readonly batch_stats: readonly {
    readonly batch_size: number;
    readonly compute_infer: { readonly count: number };
  }[];
}

/** What must be the same: keys in one order, without what names the backend. */
function normal({ status, body }: Told): Told {
  const sorted = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sorted);
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).filter(([key]) => key !== "platform");
    return Object.fromEntries(
      entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, one]) => [key, sorted(one)]),
    );
  };
  return { status, body: sorted(body) };
}
