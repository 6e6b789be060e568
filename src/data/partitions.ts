/** Hive partitions: `key=value` folders of a path as columns of text. */
import type { TextColumn } from "./column.js";

/** How Hive spells a null in a folder's name. */
const HIVE_NULL = "__HIVE_DEFAULT_PARTITION__";

/** `in/year=2024/x.parquet` → year: "2024". */
export function partitionsOf(path: string): Map<string, string | null> {
  const found = new Map<string, string | null>();
  for (const part of path.split(/[\\/]/).slice(0, -1)) {
    const at = part.indexOf("=");
    const value = part.slice(at + 1);
    if (at > 0) found.set(part.slice(0, at), value === HIVE_NULL ? null : unescaped(value));
  }
  return found;
}

/** Writers escape what a file system would not take; a name that is no such text stays as it is. */
function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A column of one text, or of nulls. */
export function constantColumn(text: string | null, rows: number): TextColumn {
  const value = new TextEncoder().encode(text ?? "");
  const bytes = new Uint8Array(value.length * rows);
  const offsets = new Int32Array(rows + 1);
  for (let i = 0; i < rows; i++) {
    bytes.set(value, i * value.length);
    offsets[i + 1] = (i + 1) * value.length;
  }
  return { kind: "utf8", dtype: "utf8", bytes, offsets, valid: text === null ? new Uint8Array(rows) : null };
}
