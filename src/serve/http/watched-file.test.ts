/** Watched files through what mounts and editors do to them: written, replaced, gone, behind links that lead nowhere. */
import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { watchFiles } from "./watched-file.js";

describe("watched files", () => {
  it("tell each change, and outlast a path that cannot be looked at", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tenon-watched-"));
    const file = join(folder, "file");
    writeFileSync(file, "one");
    let told = (): void => undefined;
    const stop = watchFiles([file], () => told());
    const change = async (how: () => void): Promise<void> => {
      const seen = new Promise<void>((resolve) => {
        told = resolve;
      });
      // The watch keeps no process alive; the test does.
      const alive = setInterval(() => undefined, 1000);
      how();
      await seen;
      clearInterval(alive);
    };
    try {
      await change(() => writeFileSync(file, "two"));
      await change(() => rmSync(file));
      await change(() => symlinkSync(file, file)); // a link to itself
      await change(() => {
        writeFileSync(join(folder, "next"), "six");
        renameSync(join(folder, "next"), file);
      });
      stop();
      told = () => assert.fail("told after its end");
      writeFileSync(file, "seven");
      await new Promise((resolve) => setTimeout(resolve, 1100));
    } finally {
      stop();
      rmSync(folder, { recursive: true });
    }
  });
});
