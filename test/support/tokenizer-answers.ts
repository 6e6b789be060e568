/** A tokenizer beside the reference package's answers: ids, offsets, decoded texts, pairs and windows must be equal. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Tokenizer } from "tenon/embed";

interface Answers {
  readonly texts: readonly {
    readonly ids: number[];
    readonly offsets: readonly (readonly [number, number])[];
    readonly decoded: string;
    readonly bare: number[];
  }[];
  readonly pairs: readonly {
    readonly limit: number;
    readonly left: boolean;
    readonly stride: number;
    readonly ids: number[];
    readonly types: number[];
    readonly windows: readonly number[][];
  }[];
}

/** `folder` holds NAME.json and NAME.answers.json, as test/python/tokenizer_files.py writes them. */
export function assertAnswers(folder: string, name: string, texts: readonly string[]): void {
  const tokenizer = Tokenizer.parse(readFileSync(join(folder, `${name}.json`), "utf8"));
  const answers = JSON.parse(readFileSync(join(folder, `${name}.answers.json`), "utf8")) as Answers;
  assert.equal(answers.texts.length, texts.length);
  answers.texts.forEach((expected, i) => {
    const text = texts[i]!;
    const label = JSON.stringify(text);
    const made = tokenizer.encode(text, { offsets: true });
    assert.deepEqual([...made.ids], expected.ids, label);
    assert.deepEqual([...tokenizer.encode(text).ids], expected.ids, label);
    assert.deepEqual([...tokenizer.encode(text, { addSpecialTokens: false }).ids], expected.bare, label);
    assert.deepEqual(pairsOf(made.offsets!), inUnits(text, expected.offsets), label);
    assert.equal(tokenizer.decode(made.ids), expected.decoded, label);
  });
  answers.pairs.forEach((expected, i) => {
    const { limit, stride } = expected;
    const options = { maxTokens: limit, truncate: expected.left ? "left" : "right" } as const;
    const both = tokenizer.encode(texts[i]!, { ...options, pair: texts[i + 1]! });
    assert.deepEqual([...both.ids], expected.ids);
    assert.deepEqual([...both.typeIds], expected.types);
    const one = tokenizer.encode(texts[i]!, options);
    assert.deepEqual([...one.ids], expected.windows[0]);
    assert.equal(one.truncated, expected.windows.length > 1);
    if (expected.left) return;
    const windows = tokenizer.windows(texts[i]!, { maxTokens: limit, stride });
    assert.deepEqual(
      windows.map(({ ids }) => [...ids]),
      expected.windows,
    );
  });
}

function pairsOf(offsets: Int32Array): number[][] {
  return Array.from({ length: offsets.length / 2 }, (_, i) => [offsets[2 * i]!, offsets[2 * i + 1]!]);
}

/** Offsets in code points as offsets in UTF-16 units. */
function inUnits(text: string, offsets: readonly (readonly [number, number])[]): number[][] {
  const units = [0];
  for (const character of text) units.push(units.at(-1)! + character.length);
  return offsets.map(([start, end]) => [units[start]!, units[end]!]);
}
