/** Every ONNX model of the shared folder through the engine, held against the official binding. */
import assert from "node:assert/strict";
import { join, resolve } from "node:path";
import { after, before, suite, test } from "node:test";
import { Engine, type Model } from "tenon";
import { dropZipMap, graph, readModel, writeModel } from "tenon/onnx";
import { type Tensor, tensor, zeros } from "tenon/tensor";
import { CLASSIFIERS } from "./classifiers.js";
import { DIGITS, draw } from "./digits.js";
import { type Official, openOfficial } from "./official.js";
import { CHUNKS, chunksOf, SIGNALS } from "./signals.js";

const folder = resolve(import.meta.dirname, "../../../../shared/models");

suite("shared models", () => {
  let engine: Engine;
  before(async () => {
    engine = await Engine.open();
  });
  after(() => engine.close());

  test("vision/mnist.onnx reads drawn digits", async () => {
    const path = join(folder, "vision/mnist.onnx");
    const model = await engine.load(path);
    const official = await openOfficial(path);
    assert.deepEqual(model.signature.inputs, [{ name: "Input3", dtype: "float32", dims: [1, 1, 28, 28] }]);
    for (const [digit, strokes] of Object.entries(DIGITS)) {
      const inputs = { Input3: draw(strokes) };
      const outputs = await model.run(inputs);
      assertSameBits(outputs, await official.run(inputs));
      const scores = [...(outputs.Plus214_Output_0!.data as Float32Array)];
      assert.equal(scores.indexOf(Math.max(...scores)), Number(digit));
    }
    await official.release();
  });

  suite("audio/silero_vad.onnx", () => {
    const path = join(folder, "audio/silero_vad.onnx");
    let model: Model;
    let official: Official;
    before(async () => {
      [model, official] = await Promise.all([engine.load(path), openOfficial(path)]);
    });
    after(() => official.release());

    for (const [name, signal] of Object.entries(SIGNALS)) {
      test(`${name}: every chunk and state has the bits of the official binding`, async () => {
        const chunks = chunksOf(signal);
        const own = await detect(model, chunks);
        const expected = await detect(official, chunks);
        expected.forEach((outputs, chunk) => {
          assertSameBits(own[chunk]!, outputs);
        });
        const states = new Set(own.map(({ stateN }) => Buffer.from(stateN!.bytes).toString("base64")));
        assert.equal(states.size, CHUNKS, "the state moves on with every chunk");
        const chances = own.map(({ output }) => Number(output!.at(0, 0)));
        if (name === "vowel") assert.ok(Math.max(...chances) > 0.5, `a voice is heard: ${chances}`);
        else assert.ok(Math.max(...chances) < 0.1, `no voice is heard: ${chances}`);
      });
    }

    test("streams that run at the same time keep their own state", async () => {
      const streams = Object.values(SIGNALS).map(chunksOf);
      const together = await Promise.all(streams.map((chunks) => detect(model, chunks)));
      for (const [index, chunks] of streams.entries()) {
        const alone = await detect(official, chunks);
        alone.forEach(({ output }, chunk) => {
          const chance = Number(together[index]![chunk]!.output!.at(0, 0));
          const expected = Number(output!.at(0, 0));
          assert.ok(
            Math.abs(chance - expected) < 1e-4,
            `stream ${index}, chunk ${chunk}: ${chance}, ${expected}`,
          );
        });
      }
    });
  });

  for (const { file, input, label, scores, runs } of CLASSIFIERS) {
    test(`${file}: labels and scores`, async () => {
      const path = join(folder, file);
      const model = await engine.load(path);
      const official = await openOfficial(path);
      // The official binding cannot return the ZipMap's maps, but it can run the model without that node.
      const unzipped = await openOfficial(writeModel(dropZipMap(await readModel(path)).model));
      const [labelOutput, scoreOutput] = model.signature.outputs;
      assert.equal(labelOutput?.name, label);
      assert.equal(labelOutput.dtype, "int64");
      assert.equal(scoreOutput?.name, scores);
      assert.equal(scoreOutput.dtype, "float32");
      assert.deepEqual(scoreOutput.labels, [0n, 1n, 2n]);
      for (const { rows, classes } of runs) {
        const inputs = { [input]: tensor(rows, { dtype: "float32" }) };
        const outputs = await model.run(inputs);
        assertSameBits(outputs, await official.run(inputs, [label]));
        assertSameBits(outputs, await unzipped.run(inputs));
        assert.deepEqual(outputs[label]!.toArray(), classes);
        rows.forEach((_, row) => {
          const values = [...(outputs[scores]!.select(0, row).contiguous().data as Float32Array)];
          assert.ok(
            Math.abs(values.reduce((a, b) => a + b, 0) - 1) < 1e-5,
            `scores of row ${row} add up to 1`,
          );
          assert.equal(scoreOutput.labels?.[values.indexOf(Math.max(...values))], classes[row]);
        });
      }
      await Promise.all([official.release(), unzipped.release()]);
    });
  }

  test("tabular/lightgbm.onnx gives the scores that other bindings' tests expect", async () => {
    const model = await engine.load(join(folder, "tabular/lightgbm.onnx"), { name: "known-scores" });
    const { probabilities } = await model.run({ input: tensor([[5.8, 2.8]]) });
    [0.2593829035758972, 0.409047931432724, 0.3315691649913788].forEach((expected, column) => {
      assert.ok(Math.abs(Number(probabilities!.at(0, column)) - expected) < 1e-6);
    });
  });

  test("a classifier with string labels keeps them, in its output and in its ZipMap", async () => {
    const labels = ["setosa", "versicolor", "été"];
    const bytes = (zip: boolean): Uint8Array => {
      const g = graph({ opset: 17, domains: { "ai.onnx.ml": 3 } });
      const x = g.input("x", "float32", ["n", 2]);
      const [label, scores] = g.add(
        "LinearClassifier",
        [x],
        {
          classlabels_strings: labels,
          coefficients: [1, 0, 0, 1, -1, -1],
          intercepts: [0, 0, 0],
          post_transform: "SOFTMAX",
        },
        { outputs: 2, domain: "ai.onnx.ml" },
      );
      g.output(label!, "label");
      const zipped = (): string =>
        g.add(
          "ZipMap",
          [scores!],
          { classlabels_strings: labels },
          { outputs: 1, domain: "ai.onnx.ml" },
        ) as string;
      g.output(zip ? zipped() : scores!, "scores");
      return writeModel(g.model());
    };
    const inputs = {
      x: tensor([
        [3, 0],
        [0, 3],
        [-3, -3],
      ]),
    };
    const model = await engine.load(bytes(true), { name: "named-classes" });
    assert.deepEqual(model.signature.outputs[1]?.labels, labels);
    const outputs = await model.run(inputs);
    assert.deepEqual(outputs.label!.toArray(), labels);
    const official = await openOfficial(bytes(false));
    const { label, scores } = await official.run(inputs);
    assert.deepEqual(outputs.label!.toArray(), label!.toArray());
    assertSameBits(outputs, { scores: scores! });
    await official.release();
  });
});

function assertSameBits(actual: Readonly<Record<string, Tensor>>, expected: Record<string, Tensor>): void {
  for (const [name, value] of Object.entries(expected)) {
    const own = actual[name];
    assert.ok(own, `${name} is missing`);
    assert.deepEqual([own.dtype, own.shape], [value.dtype, value.shape], name);
    assert.deepEqual(own.contiguous().bytes, value.bytes, `${name} differs from the official binding`);
  }
}

interface Detector {
  run(inputs: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Tensor>>>;
}

/** The outputs of every chunk, the state of each call fed to the next. */
async function detect(detector: Detector, chunks: readonly Tensor[]): Promise<Record<string, Tensor>[]> {
  const results: Record<string, Tensor>[] = [];
  let state: Tensor = zeros("float32", [2, 1, 128]);
  for (const input of chunks) {
    const sr = tensor([16_000n], { dtype: "int64", shape: [] });
    const outputs = await detector.run({ input, state, sr });
    state = outputs.stateN!;
    results.push({ output: outputs.output!.clone(), stateN: state.clone() });
  }
  return results;
}
