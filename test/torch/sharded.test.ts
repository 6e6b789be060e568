/** Sharded checkpoints and folders: found, joined, and kept inside their folder. */
import assert from "node:assert/strict";
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { isTenonError } from "tenon/base";
import { tensor } from "tenon/tensor";
import { materialize, openWeights, saveSafetensors } from "tenon/torch";

/** A folder with two shards, and an index with this map. */
async function inFolder(map: unknown, use: (folder: string, index: string) => Promise<void>): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "tenon-shards-"));
  try {
    const folder = join(root, "model");
    mkdirSync(folder);
    await saveSafetensors(join(folder, "one.safetensors"), { a: tensor([1, 2]), b: tensor(3) });
    await saveSafetensors(
      join(folder, "two.safetensors"),
      { c: tensor([[4]]) },
      { metadata: { format: "pt" } },
    );
    await saveSafetensors(join(root, "outside.safetensors"), { a: tensor([9]) });
    const index = join(folder, "model.safetensors.index.json");
    writeFileSync(index, JSON.stringify({ metadata: { total_size: 16 }, weight_map: map }));
    await use(folder, index);
  } finally {
    rmSync(root, { recursive: true });
  }
}

const whole = { c: "two.safetensors", a: "one.safetensors", b: "one.safetensors" };

test("an index and its folder give all shards' tensors", async () => {
  await inFolder(whole, async (folder, index) => {
    for (const input of [index, folder]) {
      const { format, tensors, metadata } = await openWeights(input);
      assert.equal(format, "sharded");
      const values = [...tensors].map(([name, ref]) => [name, materialize(ref).toArray()]);
      assert.deepEqual(values, [
        ["c", [[4]]],
        ["a", [1, 2]],
        ["b", 3],
      ]);
      assert.deepEqual(
        [...metadata],
        [
          ["total_size", "16"],
          ["format", "pt"],
        ],
      );
    }
  });
});

test("a cache that links index and shards into one folder is read", async () => {
  await inFolder(whole, async (folder) => {
    const snapshot = join(folder, "snapshot");
    mkdirSync(snapshot);
    for (const name of ["one.safetensors", "two.safetensors", "model.safetensors.index.json"])
      symlinkSync(join("..", name), join(snapshot, name));
    assert.equal((await openWeights(snapshot)).tensors.size, 3);
  });
});

const wrong: Readonly<Record<string, readonly [unknown, RegExp]>> = {
  "a way out": [{ a: "../outside.safetensors" }, /not allowed/],
  "an absolute path": [{ a: "/etc/passwd" }, /not allowed/],
  "a link that leads out": [{ a: "link.safetensors" }, /outside the model's folder/],
  "a second hard link": [{ c: "hard.safetensors" }, /hard links/],
  "a shard that is missing": [{ a: "three.safetensors" }, /exists/],
  "a tensor that is missing": [{ z: "one.safetensors" }, /lacks tensor "z"/],
  "a shard that is an index": [{ a: "model.safetensors.index.json" }, /no weights/],
  "no map": [undefined, /no weight_map/],
  "a file that is no text": [{ a: 1 }, /names no file/],
};
for (const [name, [map, message]] of Object.entries(wrong)) {
  test(`refuses ${name}`, async () => {
    await inFolder(map, async (folder, index) => {
      symlinkSync(join("..", "outside.safetensors"), join(folder, "link.safetensors"));
      linkSync(join(folder, "two.safetensors"), join(folder, "hard.safetensors"));
      await assert.rejects(openWeights(index), (error) => {
        assert.ok(isTenonError(error), String(error));
        assert.match(error.message, message);
        return true;
      });
    });
  });
}

test("a folder without weights, and no file at all", async () => {
  await inFolder(whole, async (folder) => {
    const empty = join(folder, "empty");
    mkdirSync(empty);
    await assert.rejects(openWeights(empty), (error) => isTenonError(error, "FILE_NOT_FOUND"));
    await assert.rejects(openWeights(join(folder, "absent.pth")), (error) =>
      isTenonError(error, "FILE_NOT_FOUND"),
    );
  });
});
