/** generate and generate_stream: flat JSON in and out. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { graph, writeModel } from "tenon/onnx";
import { type Served, startServed } from "../support/served.js";

/** `prompt` strings and `n` integers, each [N, C], given back; `first` is unbatched. */
function echoModel(): Uint8Array {
  const g = graph({ name: "echo" });
  g.output(g.add("Identity", [g.input("prompt", "string", ["N", 1])]), "text");
  g.output(g.add("Identity", [g.input("n", "int64", ["N", "C"])]), "m");
  return writeModel(g.model());
}

describe("generate", () => {
  let served: Served;
  before(async () => {
    served = await startServed();
    await served.engine.load(echoModel(), { name: "echo", calibrate: false });
  });
  after(() => served[Symbol.asyncDispose]());

  const ask = async (
    body: string,
    what = "generate",
    model = "echo",
  ): Promise<{ status: number; type: string | null; text: string }> => {
    const answer = await fetch(`${served.url}/v2/models/${model}/${what}`, { method: "POST", body });
    return { status: answer.status, type: answer.headers.get("content-type"), text: await answer.text() };
  };

  it("takes scalars and flat arrays, and answers outputs by name", async () => {
    const { status, type, text } = await ask(
      '{"id":"q","prompt":"héllo","n":[9223372036854775807,-1],"parameters":{"temperature":0.5},"top_k":3}',
    );
    assert.equal(status, 200, text);
    assert.equal(type, "application/json");
    assert.equal(
      text,
      '{"id":"q","model_name":"echo","model_version":"1","text":"héllo","m":[9223372036854775807,-1]}',
    );
  });

  it("answers a stream with one event", async () => {
    const { status, type, text } = await ask('{"prompt":"a","n":7}', "generate_stream");
    assert.equal(status, 200);
    assert.equal(type, "text/event-stream; charset=utf-8");
    assert.equal(text, 'data: {"model_name":"echo","model_version":"1","text":"a","m":7}\n\n');
  });

  it("refuses what it cannot mean", async () => {
    const cases: readonly (readonly [string, number, RegExp])[] = [
      ['{"prompt":[["a"]],"n":1}', 400, /nested array 'prompt'/],
      ['{"prompt":"a"}', 400, /missing required input\(s\) \['n'\]/],
      ['{"prompt":"a","prompt":"b","n":1}', 400, /'prompt' is set twice/],
      ['{"prompt":"a","n":1.5}', 400, /./],
      ['{"prompt":"a","n":1,"other":[1]}', 400, /parameter 'other' has invalid type/],
      ['{"prompt":"a","n":1,"triton_x":1}', 400, /reserved for Triton/],
      ['{"prompt":"a","n":1,"x":1,"parameters":{"x":2}}', 400, /'x' is set twice/],
      ["[]", 400, /not an object/],
      ["", 400, /empty/],
    ];
    for (const [body, status, text] of cases) {
      for (const what of ["generate", "generate_stream"]) {
        const answer = await ask(body, what);
        assert.equal(answer.status, status, body);
        assert.match((JSON.parse(answer.text) as { error: string }).error, text, body);
      }
    }
    assert.equal((await ask('{"x":1}', "generate", "nothing")).status, 404);
    const half = await ask('{"x":1}', "generate", "identity_FP16");
    assert.match(half.text, /receiving FP16 data via JSON|FP16/);
    assert.ok(half.status >= 400 && half.status < 502, String(half.status));
  });
});
