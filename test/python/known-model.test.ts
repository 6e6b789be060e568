/** What the registry knows of all-MiniLM-L6-v2: made anew by the script that makes it, and compared on the way from a hub to a vector. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { embedder, KNOWN_MODELS, type KnownFacts } from "tenon/embed";
import { Engine } from "tenon/runtime";
import { runCli } from "../support/cli.js";
import { FakeHub } from "../support/fake-hub.js";
import { minilmOracle } from "./minilm-oracle.js";
import { runPython } from "./onnx-cases.js";

const root = resolve(import.meta.dirname, "../../..");
const MODEL = KNOWN_MODELS.find(({ name }) => name === "all-MiniLM-L6-v2")!;

describe("a known model", () => {
  const home = mkdtempSync(join(tmpdir(), "tenon-known-"));
  let source = "";
  let engine: Engine;
  before(async () => {
    ({ source } = await minilmOracle());
    engine = await Engine.open({ cache: false, lanes: 2 });
  });
  after(async () => {
    await engine.close();
    rmSync(home, { recursive: true });
  });

  test("its entry is what the script makes of the folder, beside the entries that were there", () => {
    const path = join(home, "known.data.ts");
    const committed = readFileSync(join(root, "src/embed/hub/known.data.ts"), "utf8");
    const head = committed.slice(0, committed.indexOf(" = {") + 3);
    writeFileSync(path, `${head}{"a/b": {"files": {}}};\n`);
    const script = join(root, "scripts/known_model.py");
    const { revision } = MODEL.facts!;
    runPython([script, MODEL.repository, source, "--revision", revision!, "--files", path], "");
    const text = readFileSync(path, "utf8");
    assert.ok(text.startsWith(head) && text.endsWith("};\n"));
    const made = JSON.parse(text.slice(head.length).replace(/;\s*$/, "")) as Record<string, KnownFacts>;
    assert.deepEqual(Object.keys(made), ["a/b", MODEL.repository]);
    const { golden, ...files } = made[MODEL.repository]!;
    const { golden: known, ...expected } = MODEL.facts!;
    assert.deepEqual(files, expected);
    assert.deepEqual([golden!.texts, golden!.from], [known!.texts, known!.from]);
    golden!.vectors.forEach((vector, i) => {
      const [a, b] = [vector, known!.vectors[i]!].map((base64) => {
        const bytes = Buffer.from(base64 as string, "base64");
        return Array.from({ length: 384 }, (_, j) => bytes.readFloatLE(4 * j));
      });
      assert.ok(a!.every((value, j) => Math.abs(value - b![j]!) < 1e-5));
    });
  });

  test("a folder with its weights is compared under any name, and refused with another pooling", async () => {
    for (const quant of ["none", "int8-row"] as const) {
      await using model = await embedder(source, { engine, name: quant, quant, verify: true });
      const { golden } = model.explain();
      assert.equal(golden!.from, MODEL.facts!.golden!.from);
      assert.ok(golden!.least! > (quant === "none" ? 0.99999 : 0.98), String(golden!.least));
    }
    await assert.rejects(embedder(source, { engine, pooling: "cls", verify: true }), {
      code: "GOLDEN_MISMATCH",
    });
    await assert.rejects(embedder(source, { engine, maxTokens: 128, verify: true }), {
      code: "GOLDEN_MISMATCH",
    });
  });

  test("tenon pull --check brings it from a hub and compares files and vectors", async () => {
    const hub = new FakeHub();
    const names = (readdirSync(source, { recursive: true }) as string[]).filter((name) =>
      /\.(json|txt|safetensors)$/.test(name),
    );
    const files = Object.fromEntries(names.map((name) => [name, readFileSync(join(source, name))]));
    hub.repositories.set(MODEL.repository, { files, commit: MODEL.facts!.revision! });
    const env = { HF_HOME: home, HF_ENDPOINT: await hub.start(), TENON_CACHE: join(home, "compiled") };
    try {
      const { code, stdout, stderr } = await runCli(["pull", MODEL.name, "--check"], { env });
      assert.equal(code, 0, stderr);
      assert.match(stderr, /cosine 1\.000000 to those of sentence-transformers/);
      assert.match(stderr, /10 of 10 as the registry has them/);
      const place = join(stdout.trim(), "tokenizer.json");
      rmSync(place);
      writeFileSync(place, Buffer.concat([files["tokenizer.json"]!, Buffer.from("\n")]));
      const told = await runCli(["doctor", MODEL.name], { env });
      assert.match(told.stdout, /9 of 10 as the registry has them for .*; others: tokenizer\.json$/m);
    } finally {
      await hub.stop();
    }
  });
});
