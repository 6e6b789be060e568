/** The command on exported programs (`.pt2`): converted, run and served, and every refusal. */
import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { ones, zeros } from "tenon/tensor";
import { saveSafetensors } from "tenon/torch";
import { firstLine, runCli, startCli } from "../support/cli.js";
import { tinyProgram } from "../support/tiny-program.js";

const ROW = Array.from({ length: 32 }, () => 1);

describe("programs on the command line", () => {
  const cwd = mkdtempSync(join(tmpdir(), "tenon-programs-"));
  const env = { TENON_CACHE: "off" };
  const run = (...args: string[]): ReturnType<typeof runCli> => runCli(args, { cwd, env });
  const done = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(...args);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const convert = async (...args: string[]) => JSON.parse(await done("convert", ...args, "--json"));
  const answer = async (model: string): Promise<number[][]> => {
    const input = `x=${JSON.stringify([ROW, ROW])}`;
    return JSON.parse(await done("run", model, "--input", input, "--json")).outputs[0].data;
  };
  const sums = [ROW, ROW].map((row) => row.map((value, i) => value + i));
  before(async () => {
    writeFileSync(join(cwd, "net.pt2"), tinyProgram());
    mkdirSync(join(cwd, "away"));
    await saveSafetensors(join(cwd, "ones.safetensors"), { "lin.bias": ones("float32", [32]) });
  });
  after(() => rmSync(cwd, { recursive: true }));

  test("run takes a program as it is", async () => {
    assert.deepEqual(await answer("net.pt2"), sums);
  });

  test("beside its program a graph points at the weights, elsewhere and embedded it holds them", async () => {
    const beside = await convert("net.pt2");
    assert.deepEqual([beside.output, beside.weights], ["net.onnx", { mode: "keep", bytes: 128, copied: 0 }]);
    assert.deepEqual(beside.inputs, [{ name: "x", type: "f32[batch, 32]" }]);
    const away = await convert("net.pt2", "-o", "away/net.onnx");
    assert.deepEqual(away.weights, { mode: "embed", bytes: 128, copied: 128 });
    assert.match(
      (await run("convert", "net.pt2", "-o", "away/net.onnx", "--force")).stderr,
      /weights inside/,
    );
    assert.equal((await convert("net.pt2", "-o", "inside.onnx", "--embed")).weights.mode, "embed");
    for (const model of ["net.onnx", "away/net.onnx", "inside.onnx"])
      assert.deepEqual(await answer(model), sums, model);
    assert.ok(statSync(join(cwd, "inside.onnx")).size > statSync(join(cwd, "net.onnx")).size);
  });

  test("many weights are copied beside a graph elsewhere, over no file that lies there", async () => {
    writeFileSync(join(cwd, "large.pt2"), tinyProgram(zeros("float32", [5 * 2 ** 20])));
    writeFileSync(join(cwd, "away/large.onnx.data"), "mine");
    const args = ["large.pt2", "-o", "away/large.onnx"];
    const refused = await run("convert", ...args);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /exists[\s\S]*large\.onnx\.data[\s\S]*--force/);
    assert.ok(!existsSync(join(cwd, "away/large.onnx")));
    const { weights } = await convert(...args, "--force");
    assert.deepEqual(weights, { mode: "external", bytes: 5 * 2 ** 22, copied: 5 * 2 ** 22 });
    assert.ok(statSync(join(cwd, "away/large.onnx.data")).size >= 5 * 2 ** 22);
  });

  test("a program takes other weights and names of its dims", async () => {
    const { inputs } = await convert(
      "net.pt2",
      "-o",
      "ones.onnx",
      "--weights",
      "ones.safetensors",
      "--dim",
      "s77=rows",
    );
    assert.deepEqual(inputs, [{ name: "x", type: "f32[rows, 32]" }]);
    assert.deepEqual(
      await answer("ones.onnx"),
      [ROW, ROW].map((row) => row.map((value) => value + 1)),
    );
  });

  test("what does not fit is refused, and no source is replaced", async () => {
    symlinkSync("net.pt2", join(cwd, "link.onnx"));
    writeFileSync(join(cwd, "broken.pt2"), "PK");
    await done("convert", "net.pt2", "--force");
    const refused: [string[], number, RegExp][] = [
      [["net.pt2", "--head", "none"], 2, /takes no --head/],
      [["net.pt2", "--kv-cache"], 2, /takes no --kv-cache/],
      [["net.pt2", "-o", "x.onnx", "--dtype", "float16"], 2, /not narrowed to float16/],
      [["net.pt2", "-o", "x.onnx", "--dim", "s77"], 2, /no SYMBOL=NAME/],
      [["net.pt2", "-o", "x.onnx", "--dim", "s1=rows"], 2, /no such free dim[\s\S]*"s1"[\s\S]*s77/],
      [["net.onnx", "-o", "x.onnx", "--dim", "s77=rows"], 2, /takes no --dim/],
      [["net.onnx", "-o", "x.onnx", "--dtype", "float32"], 2, /takes no --dtype/],
      [["net.pt2", "-o", "link.onnx", "--force"], 2, /would replace the input/],
      [["net.onnx", "-o", "net.pt2", "--force"], 2, /would replace the input/],
      [
        ["net.pt2", "-o", "ones.safetensors", "--weights", "ones.safetensors", "--force"],
        2,
        /would replace the input/,
      ],
      [["net.pt2", "-o", "away", "--force"], 2, /output is a folder/],
      [["absent.pt2"], 2, /FILE_NOT_FOUND/],
      [["broken.pt2"], 1, /MODEL_UNSUPPORTED/],
    ];
    const before = readdirSync(cwd);
    for (const [args, code, message] of refused) {
      const result = await run("convert", ...args);
      assert.match(result.stderr, message, args.join(" "));
      assert.equal(result.code, code, args.join(" "));
    }
    assert.deepEqual(readdirSync(cwd), before);
    assert.deepEqual(await answer("net.pt2"), sums);
  });

  test("serve takes a program, and a folder of programs", async () => {
    mkdirSync(join(cwd, "models"));
    for (const name of ["one", "two"]) writeFileSync(join(cwd, "models", `${name}.pt2`), tinyProgram());
    await done("convert", "models/two.pt2");
    const child = startCli(["serve", "models", "named=net.pt2", "--http-port", "0", "--json"], { cwd, env });
    try {
      const ready = JSON.parse(await firstLine(child));
      assert.deepEqual(ready.models.map(({ name }: { name: string }) => name).sort(), [
        "named",
        "one",
        "two",
      ]);
      for (const name of ["named", "one", "two"]) {
        const response = await fetch(`${ready.url}/v2/models/${name}/infer`, {
          method: "POST",
          body: JSON.stringify({ inputs: [{ name: "x", datatype: "FP32", shape: [1, 32], data: [ROW] }] }),
        });
        const { outputs } = (await response.json()) as { outputs: { data: number[] }[] };
        assert.deepEqual(outputs[0]!.data, sums[0], name);
      }
    } finally {
      child.kill();
    }
  });

  test("bench and types take a program", async () => {
    const bench = JSON.parse(
      await done("bench", "net.pt2", "--time", "5ms", "--max-batch", "1", "--lanes", "1", "--json"),
    );
    assert.equal(bench.points.length, 1);
    assert.match(await done("types", "net.pt2"), /readonly net: \{[\s\S]*x: "FP32"/);
  });
});
