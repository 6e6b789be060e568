/** Folders made with those around them, refused where nothing can be made, also where Node.js's own way does not return. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { makeFolder } from "./make-folder.js";

it("makes folders, and tells where it cannot", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-folders-"));
  try {
    const deep = join(folder, "a/b/c");
    await Promise.all([makeFolder(deep, 0o700), makeFolder(deep, 0o700), makeFolder(join(folder, "a/b/d"))]);
    await makeFolder(deep);
    assert.equal(statSync(deep).mode & 0o777, 0o700);
    writeFileSync(join(folder, "file"), "");
    await assert.rejects(makeFolder(join(folder, "file")), { code: "EEXIST" });
    await assert.rejects(makeFolder(join(folder, "file/x")), { code: "ENOTDIR" });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it("returns from a file system that makes no folders", {
  skip: process.platform === "linux" ? false : "/proc is Linux's",
}, async () => {
  for (const path of ["/proc/x", "/proc/x/y", "/proc/self/x", "/dev/null/x"])
    await assert.rejects(makeFolder(path), path);
});
