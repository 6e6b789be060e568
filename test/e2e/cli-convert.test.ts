/** `tenon convert`: folders and ONNX files as ONNX files, with other weights and adapters, and every refusal. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { saveSafetensors } from "tenon/torch";
import { runCli } from "../support/cli.js";
import { randomWeights, saveTinyBert, TINY_BERT_INPUTS } from "../support/tiny-bert.js";

const QUERY = "encoder.layer.0.attention.self.query";

describe("tenon convert", () => {
  const cwd = mkdtempSync(join(tmpdir(), "tenon-convert-"));
  const env = { TENON_CACHE: "off" };
  const run = (...args: string[]): ReturnType<typeof runCli> => runCli(args, { cwd, env });
  const answer = async (model: string): Promise<string> => {
    const { code, stdout, stderr } = await run(
      "run",
      model,
      ...TINY_BERT_INPUTS.flatMap((input) => ["--input", input]),
    );
    assert.equal(code, 0, stderr);
    return stdout;
  };
  before(() => saveTinyBert(join(cwd, "tiny")));
  after(() => rmSync(cwd, { recursive: true }));

  test("a folder becomes a small file on the folder's weights, or one that holds them", async () => {
    const wanted = await answer("tiny");
    const { code, stdout } = await run("convert", "tiny", "--json");
    assert.equal(code, 0);
    const report = JSON.parse(stdout);
    assert.equal(report.schema, "tenon.convert/1");
    assert.deepEqual([report.output, report.opset, report.weights.copied], ["tiny/model.onnx", 20, 0]);
    assert.ok(report.weights.bytes > 0);
    assert.equal(await answer("tiny/model.onnx"), wanted);

    const again = await run("convert", "tiny");
    assert.equal(again.code, 2);
    assert.match(again.stderr, /USAGE[\s\S]*exists[\s\S]*--force/);
    assert.equal((await run("convert", "tiny", "--force")).code, 0);

    mkdirSync(join(cwd, "elsewhere"));
    assert.equal((await run("convert", "tiny", "-o", "elsewhere/net.onnx", "--embed")).code, 0);
    assert.equal(await answer("elsewhere/net.onnx"), wanted);
    assert.ok(statSync(join(cwd, "elsewhere/net.onnx")).size > statSync(join(cwd, "tiny/model.onnx")).size);
  });

  test("an ONNX file takes other weights, an adapter and another opset", async () => {
    const weights = randomWeights({ [`${QUERY}.weight`]: [8, 8] }, 9);
    await saveTinyBert(join(cwd, "tuned"), {}, weights);
    await run("convert", "tiny", "--force");
    const swapped = ["convert", "tiny/model.onnx", "--weights", "tuned", "-o", "swapped.onnx"];
    assert.equal((await run(...swapped, "--opset", "24")).code, 0);
    assert.equal(await answer("swapped.onnx"), await answer("tuned"));

    mkdirSync(join(cwd, "lora"));
    writeFileSync(join(cwd, "lora/adapter_config.json"), '{"peft_type":"LORA","r":2,"lora_alpha":4}');
    const { a, b } = randomWeights({ a: [2, 8], b: [8, 2] }, 5);
    const name = `base_model.model.${QUERY}.lora`;
    await saveSafetensors(join(cwd, "lora/adapter_model.safetensors"), {
      [`${name}_A.weight`]: a!,
      [`${name}_B.weight`]: b!,
    });
    assert.equal((await run("convert", "tiny", "--adapter", "lora", "-o", "merged.onnx")).code, 0);
    assert.notEqual(await answer("merged.onnx"), await answer("tiny"));
  });

  test("what cannot be converted is refused with what to do", async () => {
    const refused: [string[], number, RegExp][] = [
      [["tiny/model.safetensors", "-o", "x.onnx"], 1, /MODEL_UNSUPPORTED[\s\S]*--weights/],
      [["tiny/config.json"], 2, /--output/],
      [["tiny", "-o", "absent/x.onnx"], 2, /folder does not exist/],
      [["tiny", "--dtype", "int8"], 2, /int8/],
      [["tiny", "--opset", "9", "-o", "x.onnx"], 2, /20 to 26/],
      [["absent.onnx", "-o", "x.onnx"], 2, /FILE_NOT_FOUND/],
      [["tiny", "--head", "causal-lm", "-o", "x.onnx"], 2, /causal-lm/],
      [["tiny", "--adapter", "absent", "-o", "x.onnx"], 2, /FILE_NOT_FOUND[\s\S]*adapter/],
    ];
    for (const [args, code, message] of refused) {
      const result = await run("convert", ...args);
      assert.match(result.stderr, message, args.join(" "));
      assert.equal(result.code, code, args.join(" "));
    }
  });
});
