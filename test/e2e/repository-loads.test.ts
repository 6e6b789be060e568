/** Models that are unloaded, replaced or rolled back while something of theirs is loading: nothing comes back to life. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { on } from "tenon/base";
import { Engine } from "tenon/runtime";
import { ModelRepository, type RepositoryEntry } from "tenon/serve";
import { tensor } from "tenon/tensor";
import { modelBytes } from "../support/repository.js";

/** y = x · factor. */
const scaled = (factor: number): Uint8Array =>
  modelBytes((g) => {
    const x = g.input("x", "float32", ["N", 1]);
    g.output(g.add("Mul", [x, g.initializer("factor", tensor([factor], { dtype: "float32" }))]), "y");
  });

const VERSIONS = [3, 2, 1].map((version) => ({ version: String(version), path: String(version) }));
const entry: RepositoryEntry = { name: "net", ...VERSIONS[0]!, versions: VERSIONS };

describe("loads of a repository", () => {
  let engine: Engine;
  let repository: ModelRepository;
  /** Versions that wait to be opened until they are let go. */
  let held: Map<string, () => void>;
  let holding: ReadonlySet<string>;
  beforeEach(async () => {
    engine = await Engine.open({ cache: false });
    held = new Map();
    holding = new Set();
    repository = new ModelRepository(engine, {
      modelControl: "explicit",
      list: async () => [entry],
      open: async (version) => {
        if (holding.has(version)) await new Promise<void>((resolve) => held.set(version, resolve));
        return scaled(Number(version));
      },
    });
    await repository.loadEntry({ name: "net", version: "1", path: "1" });
  });
  afterEach(async () => {
    for (const go of held.values()) go();
    await engine.close();
    await repository.close();
  });

  const begun = async (version: string): Promise<void> => {
    while (!held.has(version)) await new Promise((resolve) => setImmediate(resolve));
  };
  const letGo = async (version: string, loading: Promise<unknown>): Promise<unknown> => {
    held.get(version)!();
    const outcome = await loading.then(
      () => "loaded",
      (error: unknown) => error,
    );
    // What was given up is freed behind.
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
    return outcome;
  };
  const answers = async (): Promise<number[]> => {
    const seen = new Set<number>();
    for (let i = 0; i < 4; i++) {
      const { y } = await repository
        .finder("net")()
        .run({ x: tensor([[1]], { dtype: "float32" }) });
      seen.add(Number(y!.data[0]));
    }
    return [...seen];
  };
  const loaded = (): string[] => engine.models().map(({ version }) => version);

  it("a rollout that is rolled back while its candidate loads stays over", async () => {
    holding = new Set(["2"]);
    const begin = repository.beginRollout("net", "2", 100, false);
    begin.catch(() => undefined);
    await begun("2");
    assert.throws(() => repository.endRollout("net", true), {
      code: "REQUEST_INVALID",
      message: /still loading/,
    });
    assert.equal(repository.endRollout("net", false).candidate, "2");
    assert.match(String(await letGo("2", begin)), /was ended before version 2 was loaded/);
    assert.deepEqual(loaded(), ["1"]);
    assert.deepEqual(await answers(), [1]);
    assert.throws(() => repository.rollout("net"), { code: "REQUEST_NOT_FOUND" });
  });

  it("a model that is unloaded while a candidate loads stays unloaded", async () => {
    holding = new Set(["2"]);
    const begin = repository.beginRollout("net", "2", 50, true);
    begin.catch(() => undefined);
    await begun("2");
    repository.unload("net");
    assert.match(String(await letGo("2", begin)), /was ended before version 2 was loaded/);
    assert.deepEqual(loaded(), []);
    assert.throws(() => repository.finder("net")(), { code: "MODEL_NOT_FOUND" });
  });

  it("a second rollout is refused while the first one loads or runs", async () => {
    holding = new Set(["2"]);
    const begin = repository.beginRollout("net", "2", 10, false);
    await begun("2");
    await assert.rejects(repository.beginRollout("net", "3", 10, false), {
      code: "REQUEST_INVALID",
      message: /has a rollout of version 2/,
    });
    await letGo("2", begin);
    await assert.rejects(repository.beginRollout("net", "3", 10, false), {
      message: /has a rollout of version 2/,
    });
    assert.deepEqual(loaded().sort(), ["1", "2"]);
    assert.equal(repository.endRollout("net", true).candidate, "2");
    assert.deepEqual(loaded(), ["2"]);
  });

  it("a load that replaces a rollout's versions never leaves a request without a model", async () => {
    await repository.beginRollout("net", "2", 0, false);
    const during: Promise<number[]>[] = [];
    const stop = on("model:loaded", () => during.push(answers()));
    try {
      await repository.loadEntry({ name: "net", version: "1", path: "1" });
    } finally {
      stop();
    }
    assert.deepEqual(await Promise.all(during), [[1]]);
    assert.deepEqual(loaded(), ["1"]);
  });

  it("a load whose model is unloaded meanwhile is given up, and the next one counts", async () => {
    holding = new Set(["3"]);
    const load = repository.load("net");
    load.catch(() => undefined);
    await begun("3");
    repository.unload("net");
    const again = repository.loadEntry({ name: "net", version: "2", path: "2" });
    await assert.rejects(load, { code: "MODEL_UNAVAILABLE", message: /unloaded while it was loading/ });
    await again;
    await letGo("3", again);
    assert.deepEqual(loaded(), ["2"]);
    assert.deepEqual(await answers(), [2]);
    const index = await repository.index(false);
    assert.deepEqual(
      index.map(({ version, state }) => [version, state]),
      [["2", "READY"]],
    );
  });
});
