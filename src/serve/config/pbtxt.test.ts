/** config.pbtxt as people write it, and what is wrong with it, by its place. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isTenonError } from "../../base/index.js";
import { ModelConfig } from "./messages.js";
import { parsePbtxt } from "./pbtxt.js";

const read = (text: string): ReturnType<typeof parsePbtxt<typeof ModelConfig.fields>> =>
  parsePbtxt(ModelConfig, text, "config.pbtxt");

const WHOLE = `
# A comment
name: "simple"  platform: 'onnxruntime_onnx'
max_batch_size: 0x8
input [
  { name: "IN" "PUT0", data_type: TYPE_INT32, dims: [ 16, -1 ] },
  { name: "INPUT1"; data_type: TYPE_STRING; dims: 1; dims: 010; reshape: { shape: [] } }
]
output { name: "OUT\\tPUT\\x41\\101" data_type: 11 dims: [1] label_filename: "labels.txt" }
dynamic_batching < preferred_batch_size: [4, 8] max_queue_delay_microseconds: 100
  priority_queue_policy { key: 1 value { timeout_action: DELAY default_timeout_microseconds: 18446744073709551615 } } >
instance_group: { kind: KIND_CPU count: 2 }
parameters: { key: "a" value: { string_value: "b" } }
parameters { key: "c" value { string_value: "d" } }
version_policy: { specific { versions: [1, 3] } }
metric_tags { key: "k" value: "v" }
`;

describe("config.pbtxt", () => {
  it("is read in every way of writing", () => {
    const config = read(WHOLE);
    assert.equal(config.name, "simple");
    assert.equal(config.max_batch_size, 8);
    assert.deepEqual(
      config.input.map(({ name, data_type, dims, reshape }) => [name, data_type, dims, reshape?.shape]),
      [
        ["INPUT0", "TYPE_INT32", [16, -1], undefined],
        ["INPUT1", "TYPE_STRING", [1, 8], []],
      ],
    );
    assert.deepEqual([config.output[0]!.name, config.output[0]!.data_type], ["OUT\tPUTAA", "TYPE_FP32"]);
    assert.deepEqual(config.dynamic_batching!.preferred_batch_size, [4, 8]);
    const policy = config.dynamic_batching!.priority_queue_policy.get(1)!;
    assert.deepEqual([policy.timeout_action, policy.default_timeout_microseconds], ["DELAY", 2n ** 64n - 1n]);
    assert.deepEqual(
      [...config.parameters].map(([key, { string_value }]) => [key, string_value]),
      [
        ["a", "b"],
        ["c", "d"],
      ],
    );
    assert.deepEqual(config.version_policy!.specific!.versions, [1, 3]);
    assert.deepEqual([...config.metric_tags], [["k", "v"]]);
    assert.equal(config.sequence_batching, undefined);
  });

  it("has letters in every way of writing them", () => {
    const ways = [
      "é🙂",
      "\\303\\251\\360\\237\\231\\202",
      "\\xc3\\xA9\\u" + "d83d\\u" + "de42",
      "\\u00e9\\U0001f642",
    ];
    for (const way of ways) assert.equal(read(`name: "${way}"`).name, "é🙂", way);
  });

  const wrong: readonly (readonly [string, string, RegExp])[] = [
    [
      "an unknown field",
      'name: "x"\nmax_batchsize: 8',
      /config\.pbtxt:2:1: ModelConfig has no field "max_batchsize".*max_batch_size/s,
    ],
    ["an unknown word", "input { data_type: FP32 }", /:1:20: "data_type" is FP32/],
    ["a word for a number", "max_batch_size: many", /:1:17: "max_batch_size" is many/],
    ["a number out of range", "max_batch_size: 4294967296", /32 bits/],
    ["a text without quotes", "name: simple", /a text in quotes/],
    ["a bracket that stays open", "input {\n name: 'x'", /:2:11: found the end/],
    ["a missing colon", "max_batch_size 8", /":" is missing behind "max_batch_size"/],
    ["a field twice", "name: 'a'\nname: 'b'", /:2:1: "name" is set twice/],
    ["two schedulers", "dynamic_batching {} sequence_batching {}", /"sequence_batching" excludes/],
    ["a sign that means nothing", "name: 'a' @", /cannot read "@"/],
    ["a list without commas", "input { dims: [1 2] }", /in the list "dims"/],
    ["an unknown escape", "name: 'a\\q'", /unknown escape/],
    ["a letter beyond Unicode", "name: '\\U00110000'", /unknown escape/],
    ["bytes that are no text", "name: '\\377'", /"name" is not UTF-8/],
  ];
  for (const [what, text, message] of wrong) {
    it(`is refused with the place of ${what}`, () => {
      assert.throws(
        () => read(text),
        (error) => isTenonError(error, "CONFIG_INVALID") && message.test(error.message),
      );
    });
  }

  it("is refused in words whatever it is", () => {
    let refused = 0;
    fc.assert(
      fc.property(fc.nat(WHOLE.length), fc.nat(40), fc.string({ maxLength: 3 }), (at, length, text) => {
        try {
          read(WHOLE.slice(0, at) + text + WHOLE.slice(at + length));
        } catch (error) {
          assert.ok(isTenonError(error, "CONFIG_INVALID"), String(error));
          refused++;
        }
      }),
      { seed: 6, numRuns: 2000 },
    );
    assert.ok(refused > 500);
  });
});
