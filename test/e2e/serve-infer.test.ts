/** The infer route with real models: JSON and binary both ways, all datatypes, and the table of bad requests. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  assertDiscreet,
  DATATYPES,
  identityModel,
  rawRequest,
  type Served,
  send,
  simpleRequest,
  startServed,
} from "../support/served.js";

interface Output {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data?: readonly unknown[];
  readonly parameters?: { readonly binary_data_size: number };
}

interface Answer {
  readonly id?: string;
  readonly model_name: string;
  readonly model_version: string;
  readonly outputs: readonly Output[];
}

interface Result {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: Answer & { readonly error?: string };
  /** Behind the JSON header. */
  readonly binary: Buffer;
}

let served: Served;
describe("the infer protocol", () => {
  before(async () => {
    served = await startServed();
  });
  after(() => served[Symbol.asyncDispose]());

  async function post(
    path: string,
    body: string | Uint8Array,
    headers: Record<string, string> = {},
  ): Promise<Result> {
    const answer = await fetch(`${served.url}${path}`, { method: "POST", body: Buffer.from(body), headers });
    const bytes = Buffer.from(await answer.arrayBuffer());
    const length = Number(answer.headers.get("inference-header-content-length") ?? bytes.length);
    const text = bytes.subarray(0, length).toString();
    assertDiscreet(answer.status, text);
    const bare = text.replaceAll(/\b(?:NaN|-?Infinity)\b/g, (token) => `"${token}"`).replaceAll('-"', '"-');
    const json = JSON.parse(bare) as Result["json"];
    return { status: answer.status, headers: answer.headers, text, json, binary: bytes.subarray(length) };
  }

  const inferSimple = (body: string | Uint8Array, headers = {}): Promise<Result> =>
    post("/v2/models/simple/infer", body, headers);

  /** A request whose tensors lie behind the JSON. */
  function binaryRequest(
    header: object,
    ...sections: readonly Uint8Array[]
  ): { body: Buffer; headers: Record<string, string> } {
    const json = Buffer.from(JSON.stringify(header));
    return {
      body: Buffer.concat([json, ...sections]),
      headers: { "Inference-Header-Content-Length": String(json.length) },
    };
  }

  const row = Int32Array.from({ length: 16 }, (_, i) => i);
  const ones = new Int32Array(16).fill(1);
  const bytesOf = (array: ArrayBufferView): Uint8Array =>
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

  function simpleBinary(sizes = [64, 64], extra: object = {}): object {
    return {
      inputs: [
        { name: "INPUT0", shape: [1, 16], datatype: "INT32", parameters: { binary_data_size: sizes[0] } },
        { name: "INPUT1", shape: [1, 16], datatype: "INT32", parameters: { binary_data_size: sizes[1] } },
      ],
      ...extra,
    };
  }

  describe("infer with JSON", () => {
    it("answers all outputs in the model's order, with the id", async () => {
      const { status, json, headers } = await inferSimple(simpleRequest(5, { id: 'ä"1' }));
      assert.equal(status, 200);
      assert.equal(headers.get("content-type"), "application/json");
      assert.deepEqual(json, {
        id: 'ä"1',
        model_name: "simple",
        model_version: "1",
        outputs: [
          { name: "OUTPUT0", datatype: "INT32", shape: [1, 16], data: [...row].map((value) => value + 6) },
          { name: "OUTPUT1", datatype: "INT32", shape: [1, 16], data: [...row].map((value) => value + 4) },
        ],
      });
    });

    it("answers the outputs asked for, once each, [] meaning all", async () => {
      const names = async (outputs: readonly string[]): Promise<string[]> => {
        const { json } = await inferSimple(simpleRequest(0, { outputs: outputs.map((name) => ({ name })) }));
        return json.outputs.map(({ name }) => name);
      };
      assert.deepEqual(await names(["OUTPUT1"]), ["OUTPUT1"]);
      assert.deepEqual(await names(["OUTPUT1", "OUTPUT0", "OUTPUT1"]), ["OUTPUT1", "OUTPUT0"]);
      assert.deepEqual(await names([]), ["OUTPUT0", "OUTPUT1"]);
    });

    it("takes keys in any order, nested data, unknown keys, parameters and the version in the path", async () => {
      const nested = [[...row]];
      const body = JSON.stringify({
        later: [{ what: null }],
        outputs: [{ parameters: { binary_data: false }, name: "OUTPUT0" }],
        inputs: [
          { data: nested, datatype: "INT32", shape: [1, 16], name: "INPUT0" },
          {
            data: [...ones],
            parameters: { hint: "x" },
            shape: [1, 16],
            name: "INPUT1",
            datatype: "INT32",
            more: {},
          },
        ],
        parameters: {
          sequence_id: 7,
          sequence_start: true,
          priority: 3,
          timeout: 5_000_000,
          mine: 0.5,
          yours: "s",
        },
      });
      const { status, json } = await post("/v2/models/simple/versions/1/infer?x=1", body);
      assert.equal(status, 200, json.error);
      assert.deepEqual(
        json.outputs[0]?.data,
        [...row].map((value) => value + 1),
      );
    });

    const SAMPLES: Readonly<Record<string, readonly unknown[]>> = {
      BOOL: [true, false],
      UINT8: [0, 255],
      UINT16: [0, 65535],
      UINT32: [0, 4294967295],
      INT8: [-128, 127],
      INT16: [-32768, 32767],
      INT32: [-2147483648, 2147483647],
      FP32: [0.1, -3.4028235e38],
      FP64: [0.1, -1.7976931348623157e308],
      BYTES: ["", 'ü\n"\\\u0000😀'],
    };
    for (const [datatype, data] of Object.entries(SAMPLES)) {
      it(`${datatype} there and back`, async () => {
        const inputs = [{ name: "x", shape: [1, data.length], datatype, data }];
        const { status, json } = await post(
          `/v2/models/identity_${datatype}/infer`,
          JSON.stringify({ inputs }),
        );
        assert.equal(status, 200, json.error);
        assert.deepEqual(json.outputs, [{ name: "y", datatype, shape: [1, data.length], data }]);
      });
    }

    it("keeps 64-bit integers exact, and NaN and the infinities bare", async () => {
      const raw = (datatype: string, data: string, shape: string): Promise<Result> =>
        post(
          `/v2/models/identity_${datatype}/infer`,
          `{"inputs":[{"name":"x","shape":${shape},"datatype":"${datatype}","data":${data}}]}`,
        );
      const signed = await raw("INT64", "[9223372036854775807,-9223372036854775808,-1]", "[1,3]");
      assert.match(signed.text, /"data":\[9223372036854775807,-9223372036854775808,-1\]/);
      const unsigned = await raw("UINT64", "[18446744073709551615]", "[1,1]");
      assert.match(unsigned.text, /"data":\[18446744073709551615\]/);
      const floats = await raw("FP32", "[1,2.5,NaN,-Infinity,Infinity,3e0]", "[1,6]");
      assert.match(floats.text, /"data":\[1.0,2.5,NaN,-Infinity,Infinity,3.0\]/);
    });

    it("reads large requests in another thread and prints large answers in slices", async () => {
      const data = Array.from({ length: 60_000 }, (_, i) => i / 7 - 1000);
      const body = JSON.stringify({ inputs: [{ name: "x", shape: [2, 30_000], datatype: "FP32", data }] });
      assert.ok(body.length > 500_000);
      const [first, second] = await Promise.all(
        [0, 1].map(() => post("/v2/models/identity_FP32/infer", body)),
      );
      for (const { status, json } of [first!, second!]) {
        assert.equal(status, 200, json.error);
        assert.deepEqual(Float32Array.from(json.outputs[0]?.data as number[]), Float32Array.from(data));
      }
      const strings = Array.from({ length: 20_000 }, (_, i) => `string ${i} ü`);
      const inputs = [{ name: "x", shape: [1, strings.length], datatype: "BYTES", data: strings }];
      const { json } = await post("/v2/models/identity_BYTES/infer", JSON.stringify({ inputs }));
      assert.deepEqual(json.outputs[0]?.data, strings);
      const broken = await post("/v2/models/identity_FP32/infer", body.replace("-1000,", "-1000;"));
      assert.equal(broken.status, 400);
      assert.match(broken.json.error ?? "", /^failed to parse the request JSON buffer: .* at [0-9]+$/);
    });

    it("takes empty tensors where the model does", async () => {
      const inputs = [{ name: "x", shape: [1, 0], datatype: "FP32", data: [] }];
      const { json } = await post("/v2/models/identity_FP32/infer", JSON.stringify({ inputs }));
      assert.deepEqual(json.outputs, [{ name: "y", datatype: "FP32", shape: [1, 0], data: [] }]);
    });
  });

  describe("infer with binary tensors", () => {
    it("takes and gives them behind the JSON", async () => {
      const { body, headers } = binaryRequest(
        simpleBinary([64, 64], { id: "b", parameters: { binary_data_output: true } }),
        bytesOf(row),
        bytesOf(ones),
      );
      const { status, json, binary, headers: answered } = await inferSimple(body, headers);
      assert.equal(status, 200, json.error);
      assert.equal(answered.get("content-type"), "application/octet-stream");
      assert.deepEqual(
        json.outputs.map(({ name, parameters, data }) => [name, parameters?.binary_data_size, data]),
        [
          ["OUTPUT0", 64, undefined],
          ["OUTPUT1", 64, undefined],
        ],
      );
      const values = new Int32Array(new Uint8Array(binary).buffer);
      assert.deepEqual([...values], [...row].map((v) => v + 1).concat([...row].map((v) => v - 1)));
    });

    it("mixes JSON and binary, in and out", async () => {
      const { body, headers } = binaryRequest(
        {
          inputs: [
            { name: "INPUT0", shape: [1, 16], datatype: "INT32", data: [...row] },
            { name: "INPUT1", shape: [1, 16], datatype: "INT32", parameters: { binary_data_size: 64 } },
          ],
          outputs: [{ name: "OUTPUT0", parameters: { binary_data: true } }, { name: "OUTPUT1" }],
        },
        bytesOf(ones),
      );
      const { json, binary } = await inferSimple(body, headers);
      assert.equal(json.outputs[0]?.parameters?.binary_data_size, 64);
      assert.deepEqual(
        json.outputs[1]?.data,
        [...row].map((value) => value - 1),
      );
      assert.equal(binary.length, 64);
    });

    for (const datatype of Object.keys(DATATYPES)) {
      it(`${datatype} there and back`, async () => {
        const width = { BOOL: 1, BYTES: 0 }[datatype] ?? Number(/[0-9]+/.exec(datatype)?.[0]) / 8;
        const bytes =
          datatype === "BYTES"
            ? Buffer.from([3, 0, 0, 0, 0x61, 0xff, 0, 0, 0, 0, 0])
            : Buffer.from(Array.from({ length: 2 * width }, (_, i) => (datatype === "BOOL" ? i : 40 + i)));
        const { body, headers } = binaryRequest(
          {
            parameters: { binary_data_output: true },
            inputs: [{ name: "x", shape: [1, 2], datatype, parameters: { binary_data_size: bytes.length } }],
          },
          bytes,
        );
        const { status, json, binary } = await post(`/v2/models/identity_${datatype}/infer`, body, headers);
        assert.equal(status, 200, json.error);
        assert.deepEqual([...binary], [...bytes]);
      });
    }

    it("an empty output keeps its size and needs no header", async () => {
      const inputs = [{ name: "x", shape: [1, 0], datatype: "FP32", parameters: { binary_data_size: 0 } }];
      const { body, headers } = binaryRequest({ inputs, parameters: { binary_data_output: true } });
      const { json, headers: answered } = await post("/v2/models/identity_FP32/infer", body, headers);
      assert.equal(json.outputs[0]?.parameters?.binary_data_size, 0);
      assert.equal(answered.get("inference-header-content-length"), null);
      assert.equal(answered.get("content-type"), "application/json");
    });

    it("a raw body is the data of the only input", async () => {
      const values = Float32Array.of(1, 2, 3);
      const { json, binary } = await post("/v2/models/identity_FP32/infer", bytesOf(values), {
        "Inference-Header-Content-Length": "0",
      });
      assert.deepEqual(json.outputs[0]?.shape, [1, 3]);
      assert.deepEqual([...binary], [...bytesOf(values)]);
      const text = await post("/v2/models/identity_BYTES/infer", "any bytes", {
        "Inference-Header-Content-Length": "0",
      });
      assert.deepEqual([...text.binary], [9, 0, 0, 0, ...Buffer.from("any bytes")]);
    });
  });

  describe("bad requests", () => {
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
      [
        "unknown model",
        "nope",
        "{}",
        404,
        "MODEL_NOT_FOUND",
        "Request for unknown model: 'nope' is not found",
      ],
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
      [
        "another rank",
        "identity_FP32",
        x({ shape: [1] }),
        400,
        "INPUT_SHAPE",
        /Expected \[-1,-1\], got \[1\]/,
      ],
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
        '{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","parameters":{"shared_memory_region":"r"}}]}',
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
        "input byte size mismatch for input 'x' for model 'identity_FP32'. Expected 4, got 7",
        { "Inference-Header-Content-Length": "0" },
      ],
      [
        "a raw body for two inputs",
        "simple",
        "1234",
        400,
        "REQUEST_INVALID",
        "Raw request must only have 1 input (found 1) to be deduced but got 2 inputs in 'simple' model configuration",
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
      const refused = async (
        header: object,
        sections: readonly Uint8Array[],
        text: string,
      ): Promise<void> => {
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
        "input byte size mismatch for input 'INPUT0' for model 'simple'. Expected 64, got 60",
      );
      const strings = async (bytes: Uint8Array): Promise<string | undefined> => {
        const inputs = [
          { name: "x", shape: [1, 2], datatype: "BYTES", parameters: { binary_data_size: bytes.length } },
        ];
        const { body, headers } = binaryRequest({ inputs }, bytes);
        return (await post("/v2/models/identity_BYTES/infer", body, headers)).json.error;
      };
      assert.match((await strings(Buffer.of(0, 0, 0, 0))) ?? "", /unexpected number of string elements/);
      assert.match((await strings(Buffer.of(9, 0, 0, 0, 0, 0, 0, 0))) ?? "", /incomplete string data/);
      assert.match((await strings(Buffer.of(3, 0, 0, 0, 1, 2, 3, 0))) ?? "", /incomplete string length/);
      assert.match((await strings(Buffer.alloc(9))) ?? "", /behind the last/);
    });

    it("strings that are no text are refused as JSON, and given as bytes", async () => {
      const inputs = [{ name: "x", shape: [1, 1], datatype: "BYTES", parameters: { binary_data_size: 5 } }];
      const { body, headers } = binaryRequest({ inputs }, Buffer.of(1, 0, 0, 0, 0xff));
      const { status, json } = await post("/v2/models/identity_BYTES/infer", body, headers);
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

  describe("metadata and health", () => {
    const get = async (path: string): Promise<{ status: number; body: string }> => {
      const answer = await fetch(served.url + path);
      return { status: answer.status, body: await answer.text() };
    };

    it("of the server and of models", async () => {
      const server = JSON.parse((await get("/v2")).body);
      assert.equal(server.name, "triton");
      assert.deepEqual(server.extensions, [
        "classification",
        "schedule_policy",
        "model_configuration",
        "binary_tensor_data",
        "parameters",
        "statistics",
      ]);
      assert.deepEqual(JSON.parse((await get("/v2/models/simple")).body), {
        name: "simple",
        versions: ["1"],
        platform: "onnxruntime_onnx",
        inputs: [
          { name: "INPUT0", datatype: "INT32", shape: [-1, 16] },
          { name: "INPUT1", datatype: "INT32", shape: [-1, 16] },
        ],
        outputs: [
          { name: "OUTPUT0", datatype: "INT32", shape: [-1, 16] },
          { name: "OUTPUT1", datatype: "INT32", shape: [-1, 16] },
        ],
      });
      assert.equal((await get("/v2/models/simple/versions/1")).status, 200);
      assert.equal((await get("/v2/models/simple/versions/2")).status, 404);
    });

    it("of what is ready", async () => {
      assert.deepEqual(await get("/v2/health/live"), { status: 200, body: '{"live":true,"ready":true}' });
      assert.deepEqual(await get("/v2/health/ready"), { status: 200, body: '{"live":true,"ready":true}' });
      assert.deepEqual(await get("/v2/models/simple/ready"), { status: 200, body: "" });
      const notReady = { status: 400, body: '{"error":"Model version not ready"}' };
      assert.deepEqual(await get("/v2/models/nope/ready"), notReady);
      assert.deepEqual(await get("/v2/models/simple/versions/2/ready"), notReady);
    });

    it("unknown paths and other verbs", async () => {
      assert.deepEqual(await get("/v2/nope"), { status: 404, body: '{"error":"Not Found"}' });
      assert.deepEqual(await get("/"), { status: 404, body: '{"error":"Not Found"}' });
      assert.deepEqual(await get("/v2/models/simple/infer"), {
        status: 405,
        body: '{"error":"Method Not Allowed"}',
      });
      for (const method of ["HEAD", "OPTIONS", "DELETE", "POST"]) {
        assert.equal((await fetch(`${served.url}/v2`, { method })).status, 405, method);
      }
    });

    it("a model that was unloaded is unknown", async () => {
      const model = await served.engine.load(identityModel("float32"), { name: "gone", calibrate: false });
      assert.equal((await get("/v2/models/gone/ready")).status, 200);
      await model.unload();
      assert.equal((await get("/v2/models/gone")).status, 404);
    });
  });
});
