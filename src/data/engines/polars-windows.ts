/** Row groups of Parquet by polars: several at one question, numbers by shared memory, everything else as Arrow IPC. */
import { type DType, dtypeInfo, type NumericArray, viewStorage } from "../../tensor/index.js";
import type { Column, FieldType } from "../column.js";
import { sliceColumn } from "../rows.js";
import type { Scan, Split } from "../scan.js";
import { type ColumnMemory, FRESH_MEMORY } from "../workspace.js";
import type { StoredColumns } from "./engine-scan.js";
import { columnsOf, fitting } from "./polars-answer.js";
import type { PolarsAnswer, PolarsThread, RoomColumn } from "./polars-messages.js";

/** Rows of one question, which costs about 20 ms whatever it asks for. The first one is of one row group: it is waited for. */
const QUESTION_ROWS = 491_520;
const QUESTION_BYTES = 2 ** 26;

/** Neighbouring splits that are asked for as one. */
interface Question {
  readonly columns: string;
  /** Those that nobody has taken yet. */
  readonly left: Set<Split>;
  readonly first: Split;
  readonly room: SharedArrayBuffer | null;
  readonly answer: Promise<ReadonlyMap<string, Column>>;
}

/**
 * Throws FILE_INVALID where pages of a split's columns say what cannot be: polars takes as much memory as they ask for,
 * and ends the process where there is not so much.
 */
export type PageCheck = (split: Split, names: ReadonlySet<string>) => Promise<void>;

export class PolarsWindows {
  readonly name = "polars";
  readonly usesMemory = true;
  readonly #scan: Scan;
  readonly #thread: PolarsThread;
  readonly #check: PageCheck;
  /** Splits that will be read, in their order. */
  #coming: Split[] = [];
  #questions: Question[] = [];
  #asked = 0;
  /** Rooms of questions that are answered and taken. */
  readonly #rooms: SharedArrayBuffer[] = [];

  constructor(scan: Scan, thread: PolarsThread, check: PageCheck) {
    this.#scan = scan;
    this.#thread = thread;
    this.#check = check;
  }

  expect(splits: readonly Split[]): void {
    this.#coming.push(...splits);
  }

  async read(wanted: StoredColumns): Promise<ReadonlyMap<string, Column>> {
    const { split, places, memory = FRESH_MEMORY } = wanted;
    const key = JSON.stringify([...places]);
    let question = this.#questions.find(({ columns, left }) => columns === key && left.has(split));
    if (question === undefined) {
      // Others were asked for nothing: the order is another one now.
      this.#questions = this.#questions.filter(({ columns, left }) => columns === key && left.size > 0);
      const at = this.#coming.indexOf(split);
      if (at >= 0) this.#coming.splice(0, at);
      question = this.#ask(at >= 0 ? this.#nextSplits() : [split], wanted, key);
    }
    if (this.#questions.at(-1) === question && this.#coming.length > 0)
      this.#ask(this.#nextSplits(), wanted, key);
    let columns: ReadonlyMap<string, Column>;
    try {
      columns = await question.answer;
    } catch (error) {
      this.#questions = this.#questions.filter((each) => each !== question);
      // One bad row group must not take the others with it.
      if (question.left.size > 1) return this.#alone(wanted);
      throw error;
    }
    const from = split.row - question.first.row;
    const taken = new Map<string, Column>();
    for (const [name, column] of columns)
      taken.set(name, own(sliceColumn(column, from, from + split.rows), memory));
    question.left.delete(split);
    if (question.left.size === 0) {
      this.#questions = this.#questions.filter((each) => each !== question);
      if (question.room !== null) this.#rooms.push(question.room);
    }
    return taken;
  }

  async #alone(wanted: StoredColumns): Promise<ReadonlyMap<string, Column>> {
    const question = this.#ask([wanted.split], wanted, "");
    this.#questions = this.#questions.filter((each) => each !== question);
    return question.answer;
  }

  /** Takes the next splits from those that come: neighbours in one file. */
  #nextSplits(): Split[] {
    const most = this.#asked === 0 ? 1 : QUESTION_ROWS;
    const found: Split[] = [];
    let rows = 0;
    let bytes = 0;
    for (const split of this.#coming) {
      const last = found.at(-1);
      if (last !== undefined) {
        const follows = split.source === last.source && split.row === last.row + last.rows;
        if (!follows || rows + split.rows > most || bytes + split.bytes > QUESTION_BYTES) break;
      }
      found.push(split);
      rows += split.rows;
      bytes += split.bytes;
    }
    this.#coming.splice(0, found.length);
    return found;
  }

  #ask(splits: readonly Split[], { places }: StoredColumns, columns: string): Question {
    this.#asked++;
    const first = splits[0]!;
    const rows = splits.reduce((sum, split) => sum + split.rows, 0);
    const path = this.#scan.files[first.source]!.name;
    const numbers: RoomColumn[] = [];
    let bytes = 0;
    for (const [name, place] of places) {
      const array = place.length === 1 ? arrayOf(this.#scan.schema.get(name)!) : null;
      if (array === null) continue;
      numbers.push({ name, array, at: bytes });
      bytes += Math.ceil((rows * dtypeInfo(this.#dtype(name)).bits) / 64) * 8;
    }
    const room = bytes === 0 ? null : this.#room(bytes);
    const request = {
      kind: "window",
      path,
      row: first.row,
      rows,
      columns: [...new Set([...places.values()].map(([outer]) => outer))],
      numbers,
      room,
    } as const;
    const checked = async (): Promise<PolarsAnswer> => {
      const names = new Set(request.columns);
      for (const split of splits) await this.#check(split, names);
      return this.#thread.ask(request);
    };
    const answer = checked().then(async (came) => {
      const read = came.bytes.length === 0 ? new Map<string, Column>() : await columnsOf(came.bytes, rows);
      for (const { name, at } of numbers.filter((each) => came.placed.includes(each.name)))
        read.set(name, inRoom(this.#dtype(name), room!, at, rows));
      const result = new Map<string, Column>();
      for (const name of places.keys())
        result.set(name, fitting(name, read.get(name), this.#scan.schema.get(name)!));
      return result;
    });
    answer.catch(() => undefined); // told to whoever takes it
    const question = { columns, left: new Set(splits), first, room, answer };
    this.#questions.push(question);
    return question;
  }

  #dtype(name: string): DType {
    return this.#scan.schema.get(name)!.dtype as DType; // arrayOf gave it an array
  }

  #room(bytes: number): SharedArrayBuffer {
    const at = this.#rooms.findIndex(({ byteLength }) => byteLength >= bytes);
    return at < 0 ? new SharedArrayBuffer(bytes) : this.#rooms.splice(at, 1)[0]!;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#thread.close();
  }
}

/** The typed array of plain numbers, by name; null for what is no plain number. */
function arrayOf({ dtype, logical }: FieldType): string | null {
  if (typeof dtype !== "string" || dtype === "utf8" || dtype === "binary" || logical !== undefined)
    return null;
  const { kind, bits, array } = dtypeInfo(dtype);
  return (kind === "float" && bits >= 32) || kind === "int" || kind === "uint" ? array : null;
}

function inRoom(dtype: DType, room: SharedArrayBuffer, at: number, rows: number): Column {
  const values = viewStorage(dtype, room, at, rows);
  return { kind: "fixed", dtype, values, valid: null };
}

function isShared(buffer: ArrayBufferLike): boolean {
  return buffer instanceof SharedArrayBuffer;
}

/** A column of the room in memory that lasts; others have it already. */
function own(column: Column, memory: ColumnMemory): Column {
  if (column.kind !== "fixed" || !isShared(column.values.buffer)) return column;
  const { values } = column;
  const bytes = memory.take(values.byteLength);
  bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  const Values = values.constructor as new (
    buffer: ArrayBufferLike,
    at: number,
    length: number,
  ) => NumericArray;
  return { ...column, values: new Values(bytes.buffer, bytes.byteOffset, values.length) };
}
