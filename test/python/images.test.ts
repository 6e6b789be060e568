/** Images against transformers, sentence-transformers and Pillow: prepared pixels, vectors of CLIP and SigLIP, those of texts too. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, describe, test } from "node:test";
import sharp from "sharp";
import { type ImageEmbedder, imageEmbedder, type Pixels, preprocess, readImageRules } from "tenon/embed";
import { Engine } from "tenon/runtime";
import { materialize, openWeights } from "tenon/torch";
import { proseLines } from "../support/odd-texts.js";
import { runPython } from "./onnx-cases.js";

const script = resolve(import.meta.dirname, "../../../test/python/images.py");

const TEXTS = [...proseLines(9, 6), "", "a", "A PANDA", "☃ 42!", "it's a photo of a cat ".repeat(9)];

describe("images", () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-images-"));
  after(() => rmSync(folder, { recursive: true }));

  test("prepared as transformers does it, and embedded", async () => {
    const path = join(folder, "expected.safetensors");
    const names = JSON.parse(runPython([script, folder, path], JSON.stringify({ texts: TEXTS }))) as Record<
      string,
      string
    >;
    const { tensors } = await openWeights(path);
    const wanted = (key: string): Float32Array =>
      materialize(tensors.get(key)!).data as unknown as Float32Array;
    const images: Pixels[] = [];
    for (let i = 0; tensors.has(`image.${i}`); i++) {
      const image = materialize(tensors.get(`image.${i}`)!);
      images.push({
        data: image.data as unknown as Uint8Array,
        width: image.shape[1]!,
        height: image.shape[0]!,
      });
    }
    await using engine = await Engine.open({ cache: false, lanes: 1 });
    for (const [name, source] of Object.entries(names)) {
      const rules = readImageRules(name === "sentence" ? join(source, "0_CLIPModel") : source);
      // Newer Pillow takes the other pass first in some sizes that do not keep an image's form: bytes may be near ones.
      const isSquare = name === "square" || name === "siglip";
      const step = isSquare ? 0.045 : 1e-5;
      const each = 3 * rules.size.height * rules.size.width;
      const pixels = wanted(`${name}.pixels`);
      assert.equal(pixels.length, images.length * each);
      images.forEach((image, i) => {
        const made = new Float32Array(each);
        preprocess(image, rules, made);
        made.forEach((value, at) => {
          assert.ok(
            Math.abs(value - pixels[i * each + at]!) < step,
            `${name}, image ${i}, ${at}: ${value} is ${pixels[i * each + at]}`,
          );
        });
      });
      await using model = await imageEmbedder(source, { engine, name, batch: 2 });
      const matrix = await model.images(images);
      const vectors = wanted(`${name}.vectors`);
      const bound = { square: 0.1, siglip: 0.02 }[name] ?? 1e-4;
      assert.equal(matrix.data.length, vectors.length);
      matrix.data.forEach((value, i) => {
        assert.ok(Math.abs(value - vectors[i]!) < bound, `${name}, ${i}: ${value} is ${vectors[i]}`);
      });
      await compareTexts(model, wanted(`${name}.texts`), name);
      const [first] = images;
      const raw = { width: first!.width, height: first!.height, channels: 3 as const };
      const png = await sharp(first!.data, { raw }).png().toBuffer();
      assert.deepEqual([...(await model.images([png])).data], [...matrix.row(0)]);
      await assert.rejects(model.images([new Uint8Array([1, 2, 3])]), { code: "FILE_INVALID" });
      await assert.rejects(model.images([{ ...first!, width: 3 }]), { code: "USAGE", message: /image 0/ });
    }
  });
});

async function compareTexts(model: ImageEmbedder, words: Float32Array, name: string): Promise<void> {
  const described = await model.texts(TEXTS);
  assert.ok(described.truncated.includes(TEXTS.length - 1));
  assert.equal(described.data.length, words.length);
  described.data.forEach((value, i) => {
    assert.ok(Math.abs(value - words[i]!) < 2e-5, `${name}, text value ${i}: ${value} is ${words[i]}`);
  });
  // A short text, which no longer one beside it fills up.
  const short = TEXTS.indexOf("a");
  const alone = await model.texts([TEXTS[short]!]);
  assert.deepEqual([...alone.tokens], [described.tokens[short]]);
  assert.ok(
    alone.row(0).every((value, j) => Math.abs(value - described.row(short)[j]!) < 1e-5),
    name,
  );
  const apart = Math.max(...described.row(0).map((value, j) => Math.abs(value - described.row(1)[j]!)));
  assert.ok(apart > 0.01, `texts differ by ${apart}`);
}
