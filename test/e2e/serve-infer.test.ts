/** The infer route with real models: JSON and binary both ways, all datatypes. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
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
import { DATATYPES, type Served, simpleRequest, startServed } from "../support/served.js";

describeDoors("the infer protocol", (fronts) => {
  let served: Served;
  before(async () => {
    served = await startServed({ fronts });
  });
  after(() => served[Symbol.asyncDispose]());

  const to = (path: string, body: string | Uint8Array, headers = {}): Promise<Result> =>
    post(`${served.url}${path}`, body, headers);
  const inferSimple = (body: string | Uint8Array, headers = {}): Promise<Result> =>
    to("/v2/models/simple/infer", body, headers);

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
      const { status, json } = await to("/v2/models/simple/versions/1/infer?x=1", body);
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
        const { status, json } = await to(
          `/v2/models/identity_${datatype}/infer`,
          JSON.stringify({ inputs }),
        );
        assert.equal(status, 200, json.error);
        assert.deepEqual(json.outputs, [{ name: "y", datatype, shape: [1, data.length], data }]);
      });
    }

    it("keeps 64-bit integers exact, and NaN and the infinities bare", async () => {
      const raw = (datatype: string, data: string, shape: string): Promise<Result> =>
        to(
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
      const [first, second] = await Promise.all([0, 1].map(() => to("/v2/models/identity_FP32/infer", body)));
      for (const { status, json } of [first!, second!]) {
        assert.equal(status, 200, json.error);
        assert.deepEqual(Float32Array.from(json.outputs[0]?.data as number[]), Float32Array.from(data));
      }
      const strings = Array.from({ length: 20_000 }, (_, i) => `string ${i} ü`);
      const inputs = [{ name: "x", shape: [1, strings.length], datatype: "BYTES", data: strings }];
      const { json } = await to("/v2/models/identity_BYTES/infer", JSON.stringify({ inputs }));
      assert.deepEqual(json.outputs[0]?.data, strings);
      const broken = await to("/v2/models/identity_FP32/infer", body.replace("-1000,", "-1000;"));
      assert.equal(broken.status, 400);
      assert.match(broken.json.error ?? "", /^failed to parse the request JSON buffer: .* at [0-9]+$/);
    });

    it("takes empty tensors where the model does", async () => {
      const inputs = [{ name: "x", shape: [1, 0], datatype: "FP32", data: [] }];
      const { json } = await to("/v2/models/identity_FP32/infer", JSON.stringify({ inputs }));
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
        const { status, json, binary } = await to(`/v2/models/identity_${datatype}/infer`, body, headers);
        assert.equal(status, 200, json.error);
        assert.deepEqual([...binary], [...bytes]);
      });
    }

    it("an empty output keeps its size and needs no header", async () => {
      const inputs = [{ name: "x", shape: [1, 0], datatype: "FP32", parameters: { binary_data_size: 0 } }];
      const { body, headers } = binaryRequest({ inputs, parameters: { binary_data_output: true } });
      const { json, headers: answered } = await to("/v2/models/identity_FP32/infer", body, headers);
      assert.equal(json.outputs[0]?.parameters?.binary_data_size, 0);
      assert.equal(answered.get("inference-header-content-length"), null);
      assert.equal(answered.get("content-type"), "application/json");
    });

    it("a raw body is the data of the only input", async () => {
      const values = Float32Array.of(1, 2, 3);
      const { json, binary } = await to("/v2/models/identity_FP32/infer", bytesOf(values), {
        "Inference-Header-Content-Length": "0",
      });
      assert.deepEqual(json.outputs[0]?.shape, [1, 3]);
      assert.deepEqual([...binary], [...bytesOf(values)]);
      const text = await to("/v2/models/identity_BYTES/infer", "any bytes", {
        "Inference-Header-Content-Length": "0",
      });
      assert.deepEqual([...text.binary], [9, 0, 0, 0, ...Buffer.from("any bytes")]);
    });
  });
});
