/** Converted programs before the onnx package: its checker accepts every file, shapes inferred strictly. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { type OnnxModel, saveModel } from "tenon/onnx";
import { byteLengthOf } from "tenon/tensor";
import { convertProgram, programToModel } from "tenon/torch";
import { graphFixture, type WeightMaker } from "../support/graph-fixture.js";

const shared = resolve(import.meta.dirname, "../../../../shared/torch");
const graphs = join(shared, "graph");
const CHECK = resolve(import.meta.dirname, "../../../test/python/onnx_check.py");
/** The files of one fixture hold this much at most. */
const WEIGHT_BYTES = 2 ** 31;

describe("onnx.checker", { skip: process.env.TENON_PYTHON ? false : "TENON_PYTHON is not set" }, () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "tenon-checker-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  async function saved(name: string, model: OnnxModel): Promise<string> {
    const path = join(folder, `${name}.onnx`);
    await saveModel(model, path);
    return path;
  }

  function complaints(paths: readonly string[]): string {
    return execFileSync(process.env.TENON_PYTHON!, [CHECK, ...paths], {
      encoding: "utf8",
      maxBuffer: 2 ** 26,
    });
  }

  /** Weights that lie one after the other in a file of holes, since their values do not matter here. */
  function inHoles(): WeightMaker {
    const path = join(folder, "weights.bin");
    writeFileSync(path, "");
    truncateSync(path, WEIGHT_BYTES);
    const { size, mtimeNs, ino } = statSync(path, { bigint: true });
    const file = { path, size: Number(size), mtimeNs, inode: ino };
    let end = 0;
    return (_, shape, dtype) => {
      const length = byteLengthOf(
        dtype as "float32",
        shape.reduce((product, size) => product * size, 1),
      );
      const offset = end;
      end += Math.ceil(length / 64) * 64;
      return { file, offset, length };
    };
  }

  it("accepts the hand-made programs of both versions", async () => {
    const paths: string[] = [];
    for (const version of ["torch2.6", "torch2.13"]) {
      for (const entry of readdirSync(join(shared, version), { withFileTypes: true })) {
        if (!entry.isDirectory()) continue;
        const copy = join(folder, `${entry.name}_${version}.pt2`);
        copyFileSync(join(shared, version, entry.name, "model.pt2"), copy);
        paths.push(await saved(`${entry.name}_${version}`, await convertProgram(copy)));
      }
    }
    assert.equal(paths.length, 18);
    assert.equal(complaints(paths), "");
  });

  it("accepts the graphs of real architectures", async () => {
    const paths: string[] = [];
    const weights = inHoles();
    for (const file of readdirSync(graphs)) {
      if (!file.endsWith(".graph.json.gz")) continue;
      const name = file.replace(".graph.json.gz", "");
      const { program } = graphFixture(graphs, name, weights)!;
      paths.push(await saved(name, programToModel(program)));
    }
    assert.equal(paths.length, 44);
    assert.equal(complaints(paths), "");
  });
});
