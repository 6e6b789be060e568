/** What a dense graph is made of: it is another text after any change of the folder or of what is asked for. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { ModelCard } from "../card/card.js";
import { denseRecall } from "./recall.js";

describe("denseRecall", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "tenon-recall-"));
    mkdirSync(join(folder, "1_Pooling"));
    writeFileSync(join(folder, "config.json"), "{}");
    writeFileSync(join(folder, "1_Pooling", "config.json"), "{}");
  });
  after(() => {
    rmSync(folder, { recursive: true });
  });

  const choices = { dims: undefined, output: "float32", tokenOutputs: false, quant: "none" } as const;
  const card = (pooling: string): ModelCard =>
    ({
      folder,
      transformer: folder,
      pooling: { value: [pooling], from: "" },
      includePrompt: true,
      normalize: { value: true, from: "" },
      dense: [],
    }) as unknown as ModelCard; // what counts here

  test("files, the card and the choices count; nothing changes by itself", () => {
    const seen = new Set<string | undefined>();
    const recall = (changed: Parameters<typeof denseRecall>[1] = choices, pooling = "mean") =>
      denseRecall(card(pooling), changed);
    const isNew = (text: string | undefined): void => {
      assert.ok(text !== undefined && !seen.has(text));
      seen.add(text);
    };
    isNew(recall());
    assert.ok(seen.has(recall()));
    isNew(recall(choices, "cls"));
    isNew(recall({ ...choices, dims: 8 }));
    isNew(recall({ ...choices, quant: "int8-row" }));
    writeFileSync(join(folder, "1_Pooling", "config.json"), "{ }");
    isNew(recall());
    utimesSync(join(folder, "config.json"), 1, 2);
    isNew(recall());
    writeFileSync(join(folder, "model.safetensors"), "");
    isNew(recall());
    writeFileSync(join(folder, "adapter_config.json"), "{}");
    assert.equal(recall(), undefined);
  });
});
