/** Packed columns of any width and number of rows, over several row groups: every bit where its column has it. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { col, pack, parquet, sink, type Table } from "tenon/data";

const ROWS = 3000;
const WIDTH = 19;

describe("packed float32 columns", () => {
  let folder: string;
  let paths: string[];
  /** The bits of row i, column j: some are NaNs whose payload tells them apart. */
  const bits = (i: number, j: number): number => (i % 7 === 0 ? 0x7fc00000 : 0x3f000000) + i * 32 + j;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "tenon-pack-"));
    paths = ["snappy", "none"].map((name) => join(folder, `${name}.parquet`));
    for (const [i, compression] of (["snappy", "none"] as const).entries()) {
      await using out = sink.parquet(paths[i]!, { rowGroup: 1021, compression });
      const table: Record<string, Table[string]> = { id: Int32Array.from({ length: ROWS }, (_, row) => row) };
      for (let j = 0; j < WIDTH; j++)
        table[`f${j}`] = new Float32Array(
          Uint32Array.from({ length: ROWS }, (_, row) => bits(row, j)).buffer,
        );
      await out.write(table);
      await out.commit();
    }
  });
  after(() => rmSync(folder, { recursive: true }));

  for (const width of [1, 2, 3, 4, 5, 8, 18, 19])
    for (const shuffled of [false, true])
      it(`${width} columns${shuffled ? ", shuffled" : ""}`, async () => {
        const names = Array.from({ length: width }, (_, j) => `f${j}`);
        for (const path of paths) {
          const plain = parquet(path)
            .tensors({
              x: pack(names, "float32"),
              y: pack(["f1", "f0", "f2"], "float32"),
              id: col("id", "int32"),
            })
            .batch(777);
          const seen = new Set<number>();
          for await (const batch of shuffled ? plain.shuffle({ seed: 1, window: 2100 }) : plain) {
            const { x, y, id } = batch.data;
            const words = (tensor: typeof x): Uint32Array =>
              new Uint32Array(tensor.data.buffer, tensor.data.byteOffset, tensor.size);
            for (let i = 0; i < batch.rows; i++) {
              const row = id.data[i]!;
              seen.add(row);
              for (let j = 0; j < width; j++) assert.equal(words(x)[i * width + j], bits(row, j));
              assert.deepEqual(
                [...words(y).subarray(3 * i, 3 * i + 3)],
                [bits(row, 1), bits(row, 0), bits(row, 2)],
              );
            }
            batch.release();
          }
          assert.equal(seen.size, ROWS);
        }
      });
});
