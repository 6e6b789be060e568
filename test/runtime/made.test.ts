/** Models that take time to make: when they are made again, and when what was made is taken. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { graph, type OnnxModel } from "tenon/onnx";
import { Engine, type MadeSource } from "tenon/runtime";
import { tensor } from "tenon/tensor";

interface About {
  readonly by: number;
}

function multiplied(by: number): OnnxModel {
  const g = graph({ opset: 20 });
  const x = g.input("x", "float32", ["batch"]);
  g.output(g.add("Mul", [x, g.initializer("by", tensor(by, { dtype: "float32" }))]), "y", {
    kind: "tensor",
    dtype: "float32",
    shape: ["batch"],
  });
  return g.model();
}

describe("Engine.loadMade", () => {
  let cache: string;
  let made = 0;

  before(() => {
    cache = mkdtempSync(join(tmpdir(), "tenon-made-"));
  });
  after(() => {
    rmSync(cache, { recursive: true });
  });

  const source = (by: number, recall: string | undefined): MadeSource<About> => ({
    recall: async () => recall,
    make: async () => {
      made++;
      return { model: multiplied(by), about: { by } };
    },
    isAbout: (value): value is About => typeof (value as Partial<About> | null)?.by === "number",
  });

  /** What a new engine gives for 3, what it was told, and whether the model was made for it. */
  async function loaded(from: MadeSource<About>): Promise<readonly [y: unknown, by: number, made: boolean]> {
    const before = made;
    await using engine = await Engine.open({ cache });
    const { model, about } = await engine.loadMade(from, { name: "m", batch: { max: 1 }, calibrate: false });
    const { y } = await model.run({ x: tensor([3], { dtype: "float32" }) });
    return [y?.toArray(), about.by, made > before];
  }

  const notes = (): readonly string[] =>
    readdirSync(join(cache, "notes"))
      .filter((name) => name.endsWith("-made.json"))
      .map((name) => join(cache, "notes", name));

  test("the same is made once, another anew, and what cannot be told each time", async () => {
    assert.deepEqual(await loaded(source(2, "two")), [[6], 2, true]);
    assert.deepEqual(await loaded(source(2, "two")), [[6], 2, false]);
    assert.deepEqual(await loaded(source(5, "five")), [[15], 5, true]);
    assert.deepEqual(await loaded(source(2, "two")), [[6], 2, false]);
    assert.deepEqual(await loaded(source(7, undefined)), [[21], 7, true]);
    assert.deepEqual(await loaded(source(7, undefined)), [[21], 7, true]);
  });

  test("a note that was changed is none, and one of parts that changed meanwhile is not kept", async () => {
    for (const file of notes()) writeFileSync(file, readFileSync(file, "utf8").replace('"by":2', '"by":4'));
    assert.deepEqual(await loaded(source(2, "two")), [[6], 2, true]);
    const kept = notes().length;
    let asked = 0;
    const changing = { ...source(9, ""), recall: async () => `nine ${asked++}` };
    assert.deepEqual(await loaded(changing), [[27], 9, true]);
    assert.equal(notes().length, kept);
  });

  test("it is made again where what was compiled is gone or damaged", async () => {
    for (const entry of readdirSync(join(cache, "compiled")))
      writeFileSync(join(cache, "compiled", entry, "model.onnx"), "x");
    assert.deepEqual(await loaded(source(2, "two")), [[6], 2, true]);
    for (const entry of readdirSync(join(cache, "compiled"))) {
      const file = join(cache, "compiled", entry, "model.onnx");
      writeFileSync(file, "x".repeat(readFileSync(file).length));
    }
    assert.deepEqual(await loaded(source(2, "two")), [[6], 2, true]);
  });

  test("a name that is taken is refused before anything is made", async () => {
    await using engine = await Engine.open({ cache });
    const options = { name: "m", batch: { max: 1 }, calibrate: false };
    await engine.loadMade(source(2, "two"), options);
    await assert.rejects(engine.loadMade(source(2, "two"), options), { code: "USAGE" });
  });
});
