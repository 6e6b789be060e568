/** `pull` against a hub on loopback: layout, resume, hashes, tokens, refusals; and models found by their names. */
import assert from "node:assert/strict";
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { embedder, KNOWN_MODELS, pull } from "tenon/embed";
import { runCli } from "../support/cli.js";
import { COMMIT, FakeHub } from "../support/fake-hub.js";
import { saveTinyStatic } from "../support/tiny-static.js";

const VARIABLES = ["HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT", "HF_TOKEN", "HF_HUB_OFFLINE"] as const;

describe("pulling models", () => {
  const root = mkdtempSync(join(tmpdir(), "tenon-pull-"));
  const kept = Object.fromEntries(VARIABLES.map((name) => [name, process.env[name]]));
  const files: Record<string, Buffer> = {};
  let hub: FakeHub;
  let cache = "";
  let count = 0;

  before(async () => {
    const source = join(root, "source");
    await saveTinyStatic(source);
    for (const name of readdirSync(source)) files[name] = readFileSync(join(source, name));
    files["README.md"] = Buffer.from("not needed");
    files["onnx/model.onnx"] = Buffer.from("another set of weights");
    // Large enough for the other host.
    files["special_tokens_map.json"] = Buffer.from(`{"pad_token": "${"x".repeat(5000)}"}`);
  });
  beforeEach(async () => {
    hub = new FakeHub();
    hub.repositories.set("owner/tiny", { files });
    const home = join(root, `home-${count++}`);
    cache = join(home, "hub", "models--owner--tiny");
    for (const name of VARIABLES) delete process.env[name];
    process.env.HF_HOME = home;
    process.env.HF_ENDPOINT = await hub.start();
  });
  afterEach(async () => {
    await hub.stop();
    for (const name of VARIABLES) {
      if (kept[name] === undefined) delete process.env[name];
      else process.env[name] = kept[name];
    }
  });
  after(() => rmSync(root, { recursive: true }));

  test("files lie where Hugging Face's tools look for them, and are found by the model's name", async () => {
    const pulled = await pull("owner/tiny");
    assert.equal(pulled.commit, COMMIT);
    assert.equal(pulled.folder, join(cache, "snapshots", COMMIT));
    assert.equal(readFileSync(join(cache, "refs/main"), "utf8"), COMMIT);
    assert.deepEqual([...pulled.files].sort(), [
      "config.json",
      "model.safetensors",
      "special_tokens_map.json",
      "tokenizer.json",
    ]);
    for (const file of pulled.files) {
      assert.deepEqual(readFileSync(join(pulled.folder, file)), files[file]);
      assert.ok(lstatSync(join(pulled.folder, file)).isSymbolicLink());
    }
    assert.equal(readdirSync(join(cache, "blobs")).length, 4);
    assert.ok(readdirSync(join(cache, "blobs")).every((name) => /^[0-9a-f]{40}([0-9a-f]{24})?$/.test(name)));
    await using model = await embedder("owner/tiny");
    assert.equal(model.name, "tiny");
    assert.equal((await model.query("red")).length, 4);
    const again = await pull("owner/tiny");
    assert.equal(again.bytes, 0);
    const renamed = await pull("old/name");
    assert.ok(existsSync(join(renamed.folder, "config.json")));
  });

  test("a connection that breaks is made again from where it broke, also by the next call", async () => {
    hub.cutAfter = [1500, 700];
    await pull("owner/tiny", { onProgress: () => hub.breakOff() });
    const ranges = hub.cdnRequests.filter(({ path }) => path.includes("special")).map(({ range }) => range);
    assert.equal(ranges.length, 3);
    assert.equal(ranges[0], undefined);
    assert.ok(ranges.slice(1).every((range) => /^bytes=\d+-$/.test(range!)));
    const blobs = join(cache, "blobs");
    const large = readdirSync(blobs).find(
      (name) => statSync(join(blobs, name)).size === files["special_tokens_map.json"]!.length,
    )!;
    writeFileSync(join(blobs, `${large}.incomplete`), files["special_tokens_map.json"]!.subarray(0, 4000));
    rmSync(join(blobs, large));
    hub.cdnRequests.length = 0;
    const rest = await pull("owner/tiny");
    assert.equal(rest.bytes, files["special_tokens_map.json"]!.length - 4000);
    assert.deepEqual(
      hub.cdnRequests.map(({ range }) => range),
      ["bytes=4000-"],
    );
  });

  test("bytes that are not those of the hash are refused and not kept", async () => {
    hub.damage = (bytes) => Buffer.from(bytes).fill(0, 10, 11);
    await assert.rejects(pull("owner/tiny"), { code: "FILE_INVALID", message: /came damaged/ });
    assert.ok(!existsSync(join(cache, "refs/main")));
    hub.damage = undefined;
    await pull("owner/tiny");
    assert.ok(existsSync(join(cache, "refs/main")));
  });

  test("a token is shown to the hub and to no other host", async () => {
    hub.token = "hf_secret";
    hub.repositories.set("owner/tiny", { files, gated: true });
    await assert.rejects(pull("owner/tiny"), {
      code: "MODEL_NOT_FOUND",
      message: /accept them at http:\/\/127\.0\.0\.1:\d+\/owner\/tiny, and set HF_TOKEN/,
    });
    process.env.HF_TOKEN = "hf_secret";
    await pull("owner/tiny");
    assert.ok(hub.requests.some(({ authorization }) => authorization === "Bearer hf_secret"));
    assert.ok(hub.cdnRequests.length > 0);
    assert.ok(hub.cdnRequests.every(({ authorization }) => authorization === undefined));
    process.env.HF_TOKEN = "two words";
    await assert.rejects(pull("owner/tiny"), { code: "CONFIG_INVALID" });
  });

  test("what is missing, private or elsewhere is told with what to do", async () => {
    await assert.rejects(pull("owner/none"), { code: "MODEL_NOT_FOUND", message: /set HF_TOKEN/ });
    await assert.rejects(pull("owner/tiny", { revision: "v9" }), {
      code: "MODEL_NOT_FOUND",
      message: /revision/,
    });
    hub.repositories.set("owner/words", { files: { "config.json": Buffer.from("{}") } });
    await assert.rejects(pull("owner/words"), { code: "MODEL_INCOMPLETE" });
    await assert.rejects(embedder("owner/never"), {
      code: "MODEL_NOT_FOUND",
      message: /tenon pull owner\/never/,
    });
    process.env.HF_HUB_OFFLINE = "1";
    const asked = hub.requests.length;
    await assert.rejects(pull("owner/tiny"), { code: "MODEL_NOT_FOUND", message: /HF_HUB_OFFLINE/ });
    assert.equal(hub.requests.length, asked);
    process.env.HF_HUB_OFFLINE = "";
    process.env.HF_ENDPOINT = "ftp://127.0.0.1";
    await assert.rejects(pull("owner/tiny"), { code: "CONFIG_INVALID" });
    process.env.HF_ENDPOINT = "http://127.0.0.1:9";
    await assert.rejects(pull("owner/tiny"), { code: "SERVER_FAILED" });
  });

  test("names, paths and redirects that lead elsewhere are refused", async () => {
    for (const name of ["../x", "a/b/c", "a..b/c", "a--b", "owner/", "-x", "a\\b", "a/.b"])
      await assert.rejects(pull(name), { code: "USAGE" }, name);
    await assert.rejects(pull("owner/tiny", { revision: "../main" }), { code: "USAGE" });
    for (const file of [
      "../../outside.json",
      "/etc/x.json",
      "a\\..\\b.json",
      "1_Pooling//config.json",
      "a/./b.json",
      "nul\0.json",
    ]) {
      hub.repositories.set("owner/evil", { files, listed: [...Object.keys(files), file] });
      await assert.rejects(pull("owner/evil"), { code: "SERVER_FAILED", message: /outside/ }, file);
    }
    hub.redirect = "file:///etc/passwd";
    await assert.rejects(pull("owner/tiny"), { code: "SERVER_FAILED", message: /redirect/ });
  });

  test("on the command line, and known names", async () => {
    const env = { HF_HOME: process.env.HF_HOME!, HF_ENDPOINT: process.env.HF_ENDPOINT! };
    const { code, stdout, stderr } = await runCli(["pull", "owner/tiny"], { env });
    assert.equal(code, 0, stderr);
    assert.equal(stdout.trim(), join(cache, "snapshots", COMMIT));
    assert.equal(new Set(KNOWN_MODELS.map(({ name }) => name)).size, KNOWN_MODELS.length);
    for (const { facts, pooling, task, name, dims } of KNOWN_MODELS) {
      assert.ok(task === "embed" || pooling === undefined, name);
      if (facts === undefined) continue;
      assert.match(facts.revision ?? "", /^([0-9a-f]{40})?$/, name);
      assert.ok(Object.keys(facts.files).includes("tokenizer.json"), name);
      for (const hash of Object.values(facts.files)) assert.match(hash, /^[0-9a-f]{64}$/, name);
      const { texts, vectors } = facts.golden!;
      assert.equal(texts.length, vectors.length, name);
      for (const vector of vectors)
        assert.equal(Buffer.from(vector as string, "base64").length, 4 * dims, name);
    }
  });

  test("a known model is pulled at the revision that was compared, and must have its files", async () => {
    const short = KNOWN_MODELS.find(({ name }) => name === "all-MiniLM-L6-v2")!;
    const revision = short.facts!.revision!;
    hub.repositories.set(short.repository, { files, commit: revision });
    await assert.rejects(pull(short.name), { code: "FILE_INVALID", message: /registry knows/ });
    await assert.rejects(embedder(short.name), { code: "MODEL_INCOMPLETE" });
    // Another revision is another model, of which the registry says nothing.
    hub.repositories.set(short.repository, { files });
    const { folder } = await pull(short.name, { revision: "main" });
    assert.equal((await pull(short.name, { revision: COMMIT })).folder, folder);
    rmSync(join(cache, "..", "models--sentence-transformers--all-MiniLM-L6-v2", "snapshots", revision), {
      recursive: true,
    });
    await using model = await embedder(short.name);
    assert.equal(model.dims, 4);
    process.env.HF_HUB_OFFLINE = "1";
    assert.equal((await pull(short.name)).folder, folder);
  });
});
