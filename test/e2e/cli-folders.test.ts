/** The command on folders as Hugging Face writes them: inspected, run and served as they are. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { firstLine, runCli, startCli } from "../support/cli.js";
import { saveTinyBert, TINY_BERT_INPUTS } from "../support/tiny-bert.js";

describe("folders on the command line", () => {
  const cwd = mkdtempSync(join(tmpdir(), "tenon-folders-cli-"));
  after(() => rmSync(cwd, { recursive: true }));
  const inputs = TINY_BERT_INPUTS.flatMap((input) => ["--input", input]);

  test("inspect shows the graph that will run, and the weights of what has none", async () => {
    await saveTinyBert(join(cwd, "tiny"));
    await saveTinyBert(join(cwd, "other"), { model_type: "unheard-of" });
    const { stdout } = await runCli(["inspect", "tiny", "--json"], { cwd });
    const report = JSON.parse(stdout);
    assert.deepEqual(
      report.inputs.map(({ name }: { name: string }) => name),
      ["input_ids", "attention_mask", "token_type_ids"],
    );
    const other = await runCli(["inspect", "other"], { cwd });
    assert.equal(other.code, 0);
    assert.match(other.stderr, /unheard-of/);
    assert.match(other.stdout, /safetensors/);
  });

  test("run compiles a folder once and says what a file of weights lacks", async () => {
    await saveTinyBert(join(cwd, "tiny"));
    const env = { TENON_CACHE: join(cwd, "cache") };
    const first = await runCli(["run", "tiny", ...inputs], { cwd, env });
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stdout, /^last_hidden_state float32 \[1, 3, 8\]/);
    const compiled = (): number => readdirSync(join(cwd, "cache", "compiled")).length;
    assert.equal(compiled(), 1);
    const second = await runCli(["run", "tiny", ...inputs], { cwd, env });
    // The first answer comes from the graph as it is, the second from the compiled one.
    const numbers = (text: string): number[] => text.match(/-?\d+\.\d+(e-?\d+)?/g)!.map(Number);
    const [a, b] = [numbers(first.stdout), numbers(second.stdout)];
    assert.equal(a.length, b.length);
    assert.ok(a.every((value, i) => Math.abs(value - b[i]!) < 1e-4));
    assert.equal(compiled(), 1);
    // Other weights are another model.
    await saveTinyBert(join(cwd, "tiny"), { layer_norm_eps: 0.1 });
    const third = await runCli(["run", "tiny", ...inputs], { cwd, env });
    assert.notEqual(third.stdout, first.stdout);
    const weights = await runCli(["run", "tiny/model.safetensors", ...inputs], { cwd, env });
    assert.equal(weights.code, 1);
    assert.match(weights.stderr, /MODEL_UNSUPPORTED[\s\S]*weights and no graph/);
    writeFileSync(join(cwd, "net.pt2"), "PK");
    const program = await runCli(["run", "net.pt2"], { cwd, env });
    assert.equal(program.code, 1);
    assert.match(program.stderr, /MODEL_UNSUPPORTED[\s\S]*exported program/);
  });

  test("a folder's model.onnx is what runs and what is shown", async () => {
    const folder = await saveTinyBert(join(cwd, "both"));
    const env = { TENON_CACHE: "off" };
    const converted = ["convert", "both", "--opset", "22", "--json"];
    assert.equal((await runCli(converted, { cwd, env })).code, 0);
    const { opsets } = JSON.parse((await runCli(["inspect", "both", "--json"], { cwd })).stdout);
    assert.equal(opsets["ai.onnx"], 22);
    assert.equal((await runCli(["run", "both", ...inputs], { cwd, env })).code, 0);
    writeFileSync(join(folder, "model.onnx"), "no model");
    assert.notEqual((await runCli(["run", "both", ...inputs], { cwd, env })).code, 0);
  });

  test("serve takes a folder, and a folder of folders", async () => {
    await saveTinyBert(join(cwd, "models", "one"));
    await saveTinyBert(join(cwd, "models", "two"), { layer_norm_eps: 0.1 });
    const child = startCli(["serve", "models", "named=models/one", "--http-port", "0", "--json"], {
      cwd,
      env: { TENON_CACHE: "off" },
    });
    try {
      const ready = JSON.parse(await firstLine(child));
      assert.deepEqual(ready.models.map(({ name }: { name: string }) => name).sort(), [
        "named",
        "one",
        "two",
      ]);
      const response = await fetch(`${ready.url}/v2/models/two/infer`, {
        method: "POST",
        body: JSON.stringify({
          inputs: ["input_ids", "attention_mask", "token_type_ids"].map((name, i) => ({
            name,
            datatype: "INT64",
            shape: [1, 3],
            data: [
              [3, 7, 1],
              [1, 1, 1],
              [0, 0, 1],
            ][i],
          })),
        }),
      });
      const answer = (await response.json()) as { outputs: { shape: number[] }[] };
      assert.deepEqual(answer.outputs[0]!.shape, [1, 3, 8]);
    } finally {
      child.kill();
    }
  });
});
