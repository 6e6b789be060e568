/** BM25 against fastembed: documents, queries, stems. */
import assert from "node:assert/strict";
import { resolve } from "node:path";
import { test } from "node:test";
import { bm25, englishStem } from "tenon/embed";
import { ODD_TEXTS, proseLines } from "../support/odd-texts.js";
import { runPython } from "./onnx-cases.js";

const script = resolve(import.meta.dirname, "../../../test/python/bm25.py");

// Characters that not every version of Unicode has would be words here and none there.
const TEXTS = [...ODD_TEXTS, ...proseLines(20, 5), `${"x".repeat(41)} ${"é".repeat(40)} _ __ ½ a²`].map(
  (text) => text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "?"),
);
const STOP_WORDS = ["the", "a", "of", "and", "is"];

/** Words of the texts, and beginnings with every ending that the algorithm knows. */
function words(): string[] {
  const starts =
    "gener commun arsen sens relat hop plott y sky bead luxuri absor fall knightl cry by say nation app skat agre".split(
      " ",
    );
  const ends =
    " s es ies ied sses us ss eed eedly ed edly ing ingly ational tional enci anci abli entli izer ization ation ator alism aliti alli fulness ousli ousness iveness iviti biliti bli logi ogi fulli lessli li alize icate iciti ical ful ness ative al ance ence er ic able ible ant ement ment ent ism ate iti ous ive ize sion tion ion e le ll y yes".split(
      " ",
    );
  const made = starts.flatMap((start) => ends.map((end) => start + end));
  const whole =
    "skis skies dying lying tying idly gently ugly early only singly news howe atlas cosmos bias andes inning outing canning herring earring proceed exceed succeed succeeded generalization yay youth enjoy".split(
      " ",
    );
  const found =
    TEXTS.join(" ")
      .toLowerCase()
      .match(/[a-z]+/g) ?? [];
  return [...new Set([...made, ...whole, ...found])];
}

test("vectors and stems are those of fastembed", () => {
  const given = { texts: TEXTS, stopWords: STOP_WORDS, words: words(), avgLen: 20 };
  const wanted = JSON.parse(runPython([script], JSON.stringify(given))) as {
    documents: [number, number][][];
    queries: [number, number][][];
    stems: string[];
  } | null;
  assert.ok(wanted !== null, "fastembed of requirements.txt is not installed");
  given.words.forEach((word, i) => {
    assert.equal(englishStem(word), wanted.stems[i], word);
  });
  const ours = bm25({ stopWords: STOP_WORDS, avgLen: 20 });
  ours.documents(TEXTS).forEach(({ indices, values }, at) => {
    assert.deepEqual(
      [...indices],
      wanted.documents[at]!.map(([index]) => index),
      TEXTS[at],
    );
    for (const [i, value] of values.entries())
      assert.ok(Math.abs(value - wanted.documents[at]![i]![1]) < 1e-6);
    const query = ours.query(TEXTS[at]!);
    assert.deepEqual(
      [...query.indices],
      wanted.queries[at]!.map(([index]) => index),
    );
    assert.ok(query.values.every((value) => value === 1));
  });
});
