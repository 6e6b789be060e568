/** Texts as they are, one after the other: the sink of line files that someone else spells. */

import { TenonError } from "../../base/index.js";
import type { Format } from "./sink.js";
import { columnsOf, type Table } from "./table.js";

export class TextFormat implements Format {
  rows = 0;

  write(table: Table): Uint8Array[] {
    const { rows, columns } = columnsOf(table);
    const column = columns.get("text");
    if (column?.kind !== "utf8")
      throw new TenonError("USAGE", { problem: 'a text sink takes texts in column "text"' });
    this.rows += rows;
    return [new Uint8Array(column.bytes.subarray(column.offsets[0]!, column.offsets[rows]!))];
  }

  finish(): Uint8Array[] {
    return [];
  }
}
