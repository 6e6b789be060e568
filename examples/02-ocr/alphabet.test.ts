/** Tests of greedy decoding. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { tensorFromStorage } from "tenon/tensor";
import { decodeGreedily, type Reading } from "./alphabet.js";

const ALPHABET = ["", "a", "b", " "];

/** Steps are named by their likeliest class ("-" is the blank), each with probability `sure`. */
function decode(steps: string, sure = 0.75): Reading {
  const classes = [...steps].map((step) => (step === "-" ? 0 : ALPHABET.indexOf(step)));
  const values = new Float32Array(steps.length * ALPHABET.length).fill((1 - sure) / 3);
  classes.forEach((best, step) => {
    values[step * ALPHABET.length + best] = sure;
  });
  return decodeGreedily(tensorFromStorage("float32", [steps.length, ALPHABET.length], values), ALPHABET);
}

suite("greedy decoding", () => {
  test("repeats are one character unless a blank parts them", () => {
    assert.equal(decode("-aa-abb-").text, "aab");
  });

  test("spaces inside stay, around the text they go", () => {
    assert.equal(decode(" -a b- ").text, "a b");
  });

  test("the confidence is the mean over the characters", () => {
    assert.equal(decode("--ab", 0.5).confidence, 0.5);
  });

  test("blanks alone read as nothing", () => {
    assert.deepEqual(decode("----"), { text: "", confidence: 0 });
  });
});
