/** Bad infer requests: each with its status, its code and Triton's text, and a server that goes on. */
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { describeDoors } from "../support/doors.js";
import {
  binaryRequest,
  bytesOf,
  ones,
  post,
  type Result,
  row,
  simpleBinary,
} from "../support/infer-client.js";
import { rawRequest, type Served, send, simpleRequest, startServed } from "../support/served.js";

describeDoors("bad requests", (fronts) => {
  let served: Served;
  before(async () => {
    served = await startServed({ fronts });
  });
  after(() => served[Symbol.asyncDispose]());

  const to = (path: string, body: string | Uint8Array, headers = {}): Promise<Result> =>
    post(`${served.url}${path}`, body, headers);
  const inferSimple = (body: string | Uint8Array, headers = {}): Promise<Result> =>
    to("/v2/models/simple/infer", body, headers);

  const x = (input: object, extra: object = {}): string =>
    JSON.stringify({
      inputs: [{ name: "x", shape: [1, 1], datatype: "FP32", data: [1], ...input }],
      ...extra,
    });
  const ID = "[request id: <id_unknown>] ";
  const simple = simpleRequest();

  type Row = readonly [
    what: string,
    model: string,
    body: string | Uint8Array,
    status: number,
    code: string,
    text: string | RegExp,
    headers?: Record<string, string>,
  ];
  const rows: readonly Row[] = [
    ["unknown model", "nope", "{}", 404, "MODEL_NOT_FOUND", "Request for unknown model: 'nope' is not found"],
    [
      "unknown version",
      "simple/versions/2",
      "{}",
      404,
      "MODEL_NOT_FOUND",
      "Request for unknown model: 'simple' version 2 is not found",
    ],
    [
      "a name that no model can have",
      "..%2fetc%2fpasswd",
      "{}",
      404,
      "MODEL_NOT_FOUND",
      "Request for unknown model: '../etc/passwd' is not found",
    ],
    ["a broken escape", "%zz", "{}", 400, "REQUEST_INVALID", "the path holds a broken percent escape"],
    ["an empty body", "simple", "", 400, "REQUEST_INVALID", /The document is empty/],
    ["no JSON", "simple", "hello", 400, "REQUEST_INVALID", /^failed to parse the request JSON buffer: /],
    [
      "truncated JSON",
      "simple",
      simple.slice(0, -20),
      400,
      "REQUEST_INVALID",
      /^failed to parse the request JSON buffer: /,
    ],
    ["surplus JSON", "simple", `${simple}{}`, 400, "REQUEST_INVALID", /must not be followed/],
    ["an array", "simple", "[]", 400, "REQUEST_INVALID", /not an object/],
    [
      "broken UTF-8",
      "simple",
      Buffer.concat([Buffer.from('{"id":"'), Buffer.of(0xff), Buffer.from('"}')]),
      400,
      "REQUEST_INVALID",
      /UTF-8/,
    ],
    [
      "no inputs",
      "simple",
      "{}",
      400,
      "REQUEST_INVALID",
      "Unable to parse 'inputs': attempt to access non-existing object member 'inputs'",
    ],
    ["inputs twice", "simple", '{"inputs":[],"inputs":[]}', 400, "REQUEST_INVALID", /set twice/],
    ["a number for id", "simple", '{"id":1,"inputs":[]}', 400, "REQUEST_INVALID", /^Unable to parse 'id'/],
    [
      "too deep",
      "simple",
      `{"a":${"[".repeat(64)}${"]".repeat(64)}}`,
      400,
      "REQUEST_INVALID",
      "JSON nesting depth exceeds maximum allowed limit (64)",
    ],
    [
      "a missing input",
      "simple",
      JSON.stringify({ inputs: JSON.parse(simple).inputs.slice(0, 1) }),
      400,
      "INPUT_MISSING",
      `${ID}expected 2 inputs but got 1 inputs for model 'simple'. Got input(s) ['INPUT0'], but missing required input(s) ['INPUT1']. Please provide all required input(s).`,
    ],
    [
      "the request's id in texts",
      "simple",
      '{"id":"r1","inputs":[]}',
      400,
      "INPUT_MISSING",
      /^\[request id: r1\] expected 2 inputs but got 0/,
    ],
    [
      "an unknown input",
      "identity_FP32",
      x({ name: "Z" }),
      400,
      "INPUT_UNKNOWN",
      "unexpected inference input 'Z' for model 'identity_FP32'",
    ],
    [
      "an input twice",
      "identity_FP32",
      JSON.stringify({ inputs: [1, 2].map(() => JSON.parse(x({})).inputs[0]) }),
      400,
      "INPUT_DUPLICATE",
      `${ID}input 'x' already exists in request`,
    ],
    [
      "an input called __proto__",
      "identity_FP32",
      x({}).replace('"x"', '"__proto__"'),
      400,
      "INPUT_UNKNOWN",
      "unexpected inference input '__proto__' for model 'identity_FP32'",
    ],
    [
      "an unknown output",
      "identity_FP32",
      x({}, { outputs: [{ name: "NOPE" }] }),
      400,
      "OUTPUT_UNKNOWN",
      "unexpected inference output 'NOPE' for model 'identity_FP32'",
    ],
    [
      "another dim",
      "simple",
      simple.replaceAll("[1,16]", "[2,8]"),
      400,
      "INPUT_SHAPE",
      /unexpected shape for input 'INPUT0' for model 'simple'. Expected \[-1,16\], got \[2,8\]/,
    ],
    ["another rank", "identity_FP32", x({ shape: [1] }), 400, "INPUT_SHAPE", /Expected \[-1,-1\], got \[1\]/],
    [
      "another batch",
      "simple",
      simple.replace('"shape":[1,16]', '"shape":[2,16]').replace('"data":[', `"data":[${"9,".repeat(16)}`),
      400,
      "INPUT_BATCH",
      `${ID}input 'INPUT1' batch size does not match other inputs for 'simple'`,
    ],
    [
      "another dtype",
      "identity_FP32",
      x({ datatype: "INT32" }),
      400,
      "INPUT_DTYPE",
      `${ID}inference input 'x' data-type is 'INT32', but model 'identity_FP32' expects 'FP32'`,
    ],
    [
      "an unknown dtype",
      "identity_FP32",
      x({ datatype: "FP31" }),
      400,
      "REQUEST_INVALID",
      "invalid datatype for input x",
    ],
    [
      "FP16 as JSON",
      "identity_FP16",
      x({ datatype: "FP16" }),
      400,
      "REQUEST_INVALID",
      "receiving FP16 data via JSON is not supported. Please use the binary data format for input x",
    ],
    [
      "a negative dim",
      "identity_FP32",
      x({ shape: [-1, 1] }),
      400,
      "REQUEST_INVALID",
      /^Unable to parse 'shape'/,
    ],
    [
      "a dim that is no number",
      "identity_FP32",
      x({ shape: ["1"] }),
      400,
      "REQUEST_INVALID",
      /^Unable to parse 'shape'/,
    ],
    [
      "too many elements",
      "identity_FP32",
      x({ shape: [1e6, 1e6] }),
      400,
      "REQUEST_INVALID",
      /^Unable to parse 'shape'/,
    ],
    [
      "too much data",
      "identity_FP32",
      x({ data: [1, 2] }),
      400,
      "REQUEST_INVALID",
      "Unable to parse 'data': Shape does not match true shape of 'data' field",
    ],
    [
      "too little data",
      "identity_FP32",
      x({ data: [] }),
      400,
      "REQUEST_INVALID",
      "Unable to parse 'data': Shape does not match true shape of 'data' field",
    ],
    [
      "a string for a number",
      "identity_FP32",
      x({ data: ["1"] }),
      400,
      "INPUT_VALUE",
      /^Unable to parse 'data'/,
    ],
    [
      "a number for a string",
      "identity_BYTES",
      x({ datatype: "BYTES" }),
      400,
      "INPUT_VALUE",
      /^Unable to parse 'data'/,
    ],
    [
      "a fraction for an integer",
      "identity_INT32",
      x({ datatype: "INT32", data: [1.5] }),
      400,
      "INPUT_VALUE",
      /1.5 at [0-9]+ is not a value of INT32/,
    ],
    [
      "a value out of range",
      "identity_UINT8",
      x({ datatype: "UINT8", data: [300] }),
      400,
      "INPUT_VALUE",
      /300 at [0-9]+ is not a value of UINT8 \(an integer from 0 to 255\)/,
    ],
    [
      "a number for a boolean",
      "identity_BOOL",
      x({ datatype: "BOOL" }),
      400,
      "INPUT_VALUE",
      /expected true or false/,
    ],
    [
      "no data at all",
      "identity_FP32",
      '{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32"}]}',
      400,
      "REQUEST_INVALID",
      /But no field is set$/,
    ],
    [
      "two sources of data",
      "identity_FP32",
      x({ parameters: { binary_data_size: 4 } }),
      400,
      "REQUEST_INVALID",
      /But set 'data' 'binary_data_size'$/,
    ],
    [
      "a reserved parameter",
      "identity_FP32",
      x({}, { parameters: { triton_x: 1 } }),
      400,
      "REQUEST_INVALID",
      "parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified.",
    ],
    [
      "an array as parameter",
      "identity_FP32",
      x({}, { parameters: { foo: [] } }),
      400,
      "REQUEST_INVALID",
      "parameter 'foo' has invalid type. It should be either 'int', 'bool', or 'string'.",
    ],
    [
      "an unfit priority",
      "identity_FP32",
      x({}, { parameters: { priority: -1 } }),
      400,
      "REQUEST_INVALID",
      /^Unable to parse 'priority'/,
    ],
    [
      "shared memory",
      "identity_FP32",
      '{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","parameters":{"shared_memory_region":"r","shared_memory_byte_size":4}}]}',
      501,
      "REQUEST_UNSUPPORTED",
      /shared memory/,
    ],
    [
      "a classification of -1 values",
      "identity_FP32",
      x({}, { outputs: [{ name: "y", parameters: { classification: -1 } }] }),
      400,
      "REQUEST_INVALID",
      /classification/,
    ],
    [
      "a header length behind the body",
      "simple",
      "{}",
      400,
      "REQUEST_INVALID",
      "inference header size should be in range (0, 2), got: 9999",
      { "Inference-Header-Content-Length": "9999" },
    ],
    [
      "a negative header length",
      "simple",
      "{}",
      400,
      "REQUEST_INVALID",
      /inference header size should be in range/,
      { "Inference-Header-Content-Length": "-1" },
    ],
    [
      "a header length that is no number",
      "simple",
      "{}",
      400,
      "REQUEST_INVALID",
      /Inference-Header-Content-Length/,
      { "Inference-Header-Content-Length": "x" },
    ],
    [
      "a raw body of no whole elements",
      "identity_FP32",
      "1234567",
      400,
      "INPUT_SIZE",
      `${ID}input byte size mismatch for input 'raw_input' for model 'identity_FP32'. Expected 4, got 7`,
      { "Inference-Header-Content-Length": "0" },
    ],
    [
      "a raw body for two inputs",
      "simple",
      "1234",
      400,
      "REQUEST_INVALID",
      `${ID}Raw request must only have 1 input (found 1) to be deduced but got 2 inputs in 'simple' model configuration`,
      { "Inference-Header-Content-Length": "0" },
    ],
    [
      "an unknown encoding",
      "simple",
      "{}",
      501,
      "REQUEST_UNSUPPORTED",
      "Unsupported compression type",
      { "Content-Encoding": "br" },
    ],
    [
      "broken gzip",
      "simple",
      "{}",
      400,
      "REQUEST_INVALID",
      "the request body is not valid gzip data",
      { "Content-Encoding": "gzip" },
    ],
  ];
  for (const [what, model, body, status, code, text, headers] of rows) {
    it(what, async () => {
      const path = `/v2/models/${model}/infer`;
      const answer = await send(served.server.port, rawRequest(path, body, headers));
      const { error } = JSON.parse(answer.body.toString()) as { error: string };
      if (typeof text === "string") assert.equal(error, text);
      else assert.match(error, text);
      assert.deepEqual([answer.status, answer.headers.get("x-tenon-error")], [status, code], error);
      assert.equal(answer.headers.get("content-type"), "application/json");
    });
  }

  it("binary sections that do not fit", async () => {
    const refused = async (header: object, sections: readonly Uint8Array[], text: string): Promise<void> => {
      const { body, headers } = binaryRequest(header, ...sections);
      const { status, json } = await inferSimple(body, headers);
      assert.deepEqual([status, json.error], [400, text]);
    };
    const missing = bytesOf(ones).subarray(0, 62);
    await refused(
      simpleBinary(),
      [bytesOf(row), missing],
      "unexpected size for input 'INPUT1', expecting 2 additional bytes for model 'simple'",
    );
    await refused(
      simpleBinary(),
      [bytesOf(row), bytesOf(ones), Buffer.of(1)],
      "unexpected additional input data for model 'simple'",
    );
    await refused(
      simpleBinary([60, 64]),
      [bytesOf(row).subarray(4), bytesOf(ones)],
      `${ID}input byte size mismatch for input 'INPUT0' for model 'simple'. Expected 64, got 60`,
    );
    const strings = async (bytes: Uint8Array): Promise<string | undefined> => {
      const inputs = [
        { name: "x", shape: [1, 2], datatype: "BYTES", parameters: { binary_data_size: bytes.length } },
      ];
      const { body, headers } = binaryRequest({ inputs }, bytes);
      return (await to("/v2/models/identity_BYTES/infer", body, headers)).json.error;
    };
    assert.match((await strings(Buffer.of(0, 0, 0, 0))) ?? "", /expected 2 string elements .*, got 1$/);
    assert.match(
      (await strings(Buffer.of(9, 0, 0, 0, 0, 0, 0, 0))) ?? "",
      /expecting string of length 9 but only 4 bytes available$/,
    );
    assert.match(
      (await strings(Buffer.of(3, 0, 0, 0, 1, 2, 3, 0))) ?? "",
      /expecting 4 bytes but only 1 bytes available/,
    );
    assert.match((await strings(Buffer.alloc(12))) ?? "", /unexpected number of string elements 3 /);
  });

  it("strings that are no text are refused as JSON, and given as bytes", async () => {
    const inputs = [{ name: "x", shape: [1, 1], datatype: "BYTES", parameters: { binary_data_size: 5 } }];
    const { body, headers } = binaryRequest({ inputs }, Buffer.of(1, 0, 0, 0, 0xff));
    const { status, json } = await to("/v2/models/identity_BYTES/infer", body, headers);
    assert.equal(status, 400);
    assert.match(json.error ?? "", /not valid UTF-8/);
  });

  it("a deadline that cannot be met is 504", async () => {
    const { status, json, headers } = await inferSimple(simpleRequest(0, { parameters: { timeout: 1 } }));
    if (status === 200) return;
    assert.deepEqual(
      [status, json.error, headers.get("x-tenon-error")],
      [504, "Request timeout expired", "DEADLINE"],
    );
  });

  it("nothing of it harmed the server", async () => {
    const { status } = await inferSimple(simpleRequest());
    assert.equal(status, 200);
  });
});
