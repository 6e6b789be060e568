/** The real all-MiniLM-L6-v2 from its files, without Python: the vectors are those of sentence-transformers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Engine, type Tensor } from "tenon";
import { architectureFromFolder } from "tenon/torch";
import { minilmOracle } from "./minilm-oracle.js";

test("all-MiniLM-L6-v2 gives the vectors of sentence-transformers", async () => {
  const { source, at } = await minilmOracle();
  const engine = await Engine.open({ cache: false, lanes: 1 });
  try {
    const model = await engine.load(await architectureFromFolder(source), {
      name: "minilm",
      calibrate: false,
    });
    const mask = at("in.attention_mask");
    const outputs = await model.run({
      input_ids: at("in.input_ids"),
      attention_mask: mask,
      token_type_ids: at("in.token_type_ids"),
    });
    assert.ok(difference(outputs.pooler_output!, at("pooled")) < 1e-5);
    const vectors = meanPooled(outputs.last_hidden_state!, mask);
    const expected = (at("vectors").toArray() as number[][]).flat();
    assert.equal(vectors.length, expected.length);
    const largest = Math.max(...vectors.map((value, i) => Math.abs(value - expected[i]!)));
    assert.ok(largest < 1e-5, `largest difference ${largest}`);
  } finally {
    await engine.close();
  }
});

function difference(a: Tensor, b: Tensor): number {
  const [left, right] = [a, b].map((tensor) => (tensor.toArray() as number[][]).flat());
  return Math.max(...left!.map((value, i) => Math.abs(value - right![i]!)));
}

/** Mean over the tokens that the mask shows, at length 1, row by row. */
function meanPooled(states: Tensor, mask: Tensor): number[] {
  const seen = (mask.toArray() as bigint[][]).map((row) => row.map(Number));
  return (states.toArray() as number[][][]).flatMap((tokens, row) => {
    const sums = tokens[0]!.map((_, j) =>
      tokens.reduce((sum, token, i) => sum + token[j]! * seen[row]![i]!, 0),
    );
    const length = Math.hypot(...sums);
    return sums.map((sum) => sum / length);
  });
}
