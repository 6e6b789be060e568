/** Writes Parquet: PLAIN values in pages of about a megabyte, by row group; equal columns give equal bytes. */
import type { Column, FieldType } from "../column.js";
import { CODECS, type Codec, PHYSICAL, type Physical } from "./footer.js";
import { snappyCompress } from "./snappy.js";
import { columnStatistics } from "./statistics.js";
import { type ThriftField, writeThrift } from "./thrift.js";
import { PageMemory, pagesOf } from "./write-page.js";
import { schemaElements, storageOf } from "./write-schema.js";

const MAGIC = new TextEncoder().encode("PAR1");

export interface WriterOptions {
  /** Default "snappy". */
  readonly compression?: "snappy" | "none";
}

interface WrittenChunk {
  readonly name: string;
  readonly physical: Physical;
  readonly path: readonly string[];
  readonly values: number;
  readonly start: number;
  readonly compressed: number;
  readonly uncompressed: number;
  readonly statistics: readonly ThriftField[] | undefined;
}

/** Makes the bytes of a file, in order: row groups, then `finish`. */
export class ParquetWriter {
  readonly fields: ReadonlyMap<string, FieldType>;
  readonly #codec: Codec;
  readonly #groups: { readonly rows: number; readonly chunks: readonly WrittenChunk[] }[] = [];
  readonly #memory = new PageMemory();
  #at = 0;
  #rows = 0;

  constructor(fields: ReadonlyMap<string, FieldType>, options: WriterOptions = {}) {
    this.fields = fields;
    this.#codec = options.compression === "none" ? "UNCOMPRESSED" : "SNAPPY";
    for (const [name, field] of fields) storageOf(name, field);
  }

  #begin(): Uint8Array[] {
    if (this.#at > 0) return [];
    this.#at = MAGIC.length;
    return [MAGIC];
  }

  /** Pages of the columns, which have `rows` rows each. */
  rowGroup(columns: ReadonlyMap<string, Column>, rows: number): Uint8Array[] {
    const parts = this.#begin();
    const chunks: WrittenChunk[] = [];
    for (const [name, field] of this.fields) {
      const column = columns.get(name)!;
      const start = this.#at;
      const { physical, path } = storageOf(name, field);
      let compressed = 0;
      let uncompressed = 0;
      let entries = 0;
      for (const page of pagesOf(name, field, column, rows, this.#memory)) {
        entries += page.values;
        const body = this.#codec === "SNAPPY" ? snappyCompress(page.body) : new Uint8Array(page.body);
        const header = writeThrift([
          [1, "i32", 0],
          [2, "i32", page.body.length],
          [3, "i32", body.length],
          [
            5,
            "struct",
            [
              [1, "i32", page.values],
              [2, "i32", 0],
              [3, "i32", 3],
              [4, "i32", 3],
            ],
          ],
        ]);
        parts.push(header, body);
        compressed += header.length + body.length;
        uncompressed += header.length + page.body.length;
      }
      this.#at += compressed;
      chunks.push({
        name,
        physical,
        path,
        values: entries,
        start,
        compressed,
        uncompressed,
        statistics: columnStatistics(column, rows),
      });
    }
    this.#groups.push({ rows, chunks });
    this.#rows += rows;
    return parts;
  }

  /** The footer, with texts of the writer's own. */
  finish(keyValues: Readonly<Record<string, string>> = {}): Uint8Array[] {
    const parts = this.#begin();
    const footer = writeThrift([
      [1, "i32", 2],
      [2, "structs", schemaElements(this.fields)],
      [3, "i64", this.#rows],
      [4, "structs", this.#groups.map(({ rows, chunks }) => this.#groupFields(rows, chunks))],
      ...(Object.keys(keyValues).length === 0
        ? []
        : ([
            [
              5,
              "structs",
              Object.entries(keyValues).map(
                ([key, value]) =>
                  [
                    [1, "binary", key],
                    [2, "binary", value],
                  ] as const,
              ),
            ],
          ] as const)),
      [6, "binary", "tenon"],
      // Without the order of its type a column's least and largest values are not believed by readers.
      [7, "structs", Array.from(this.fields, () => [[1, "struct", []]] as const)],
    ]);
    const bytes = new Uint8Array(footer.length + 8);
    bytes.set(footer);
    new DataView(bytes.buffer).setUint32(footer.length, footer.length, true);
    bytes.set(MAGIC, footer.length + 4);
    return [...parts, bytes];
  }

  #groupFields(rows: number, chunks: readonly WrittenChunk[]): readonly ThriftField[] {
    const columns = chunks.map(
      ({ physical, path, values, start, compressed, uncompressed, statistics }): readonly ThriftField[] => [
        [2, "i64", start],
        [
          3,
          "struct",
          [
            [1, "i32", PHYSICAL.indexOf(physical)],
            [2, "i32s", [0, 3]],
            [3, "texts", path],
            [4, "i32", CODECS.indexOf(this.#codec)],
            [5, "i64", values],
            [6, "i64", uncompressed],
            [7, "i64", compressed],
            [9, "i64", start],
            ...(statistics === undefined ? [] : ([[12, "struct", statistics]] as const)),
          ],
        ],
      ],
    );
    return [
      [1, "structs", columns],
      [2, "i64", chunks.reduce((sum, { uncompressed }) => sum + uncompressed, 0)],
      [3, "i64", rows],
    ];
  }
}
