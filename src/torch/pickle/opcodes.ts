/** The closed table of pickle opcodes, protocols 0 to 5 (pickletools.py): each builds data; what is not here is refused. */
import { damaged, quoted } from "../invalid.js";
import { globalName } from "./constructors.js";
import { MAX_STRING, type Machine, setPairs } from "./machine.js";
import { type PickleValue, Tuple } from "./values.js";

type Opcode = (machine: Machine) => void;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const latin1 = new TextDecoder("latin1");

function text(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw damaged("the pickle has a string that is no UTF-8", { cause });
  }
}

/** The next `length` bytes; a view. */
function bytes({ cursor }: Machine, length: number): Uint8Array {
  if (length > MAX_STRING)
    throw damaged("the pickle has a string that is too long", { given: `${length} bytes` });
  return cursor.take(length);
}

const line = (machine: Machine): string => text(machine.cursor.line(MAX_STRING));

/** Little-endian two's complement of any length. */
function long(data: Uint8Array): number | bigint {
  if (data.length > 1024) throw damaged("the pickle has a number of too many digits");
  let value = 0n;
  for (let i = data.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(data[i]!);
  value = BigInt.asIntN(data.length * 8, value);
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

function decimal(digits: string): number | bigint {
  if (!/^-?[0-9]{1,1024}$/.test(digits))
    throw damaged("the pickle has text that is no number", { given: quoted(digits) });
  const value = Number(digits);
  return Number.isSafeInteger(value) ? value : BigInt(digits);
}

function float(digits: string): number {
  const value = { inf: Number.POSITIVE_INFINITY, "-inf": Number.NEGATIVE_INFINITY, nan: Number.NaN }[digits];
  if (value !== undefined) return value;
  if (!/^-?[0-9.]+(e[+-]?[0-9]+)?$/.test(digits) || Number.isNaN(Number(digits)))
    throw damaged("the pickle has text that is no number", { given: quoted(digits) });
  return Number(digits);
}

function dictOf(values: readonly PickleValue[]): Map<PickleValue, PickleValue> {
  const dict = new Map<PickleValue, PickleValue>();
  setPairs(dict, values);
  return dict;
}

// biome-ignore format: a table is read by columns
export const OPCODES: ReadonlyMap<number, Opcode> = new Map<number, Opcode>([
  // Values.
  [0x4e, (m) => m.push(null)],                                                     // NONE
  [0x88, (m) => m.push(true)],                                                     // NEWTRUE
  [0x89, (m) => m.push(false)],                                                    // NEWFALSE
  [0x4a, (m) => m.push(m.cursor.i32())],                                           // BININT
  [0x4b, (m) => m.push(m.cursor.u8())],                                            // BININT1
  [0x4d, (m) => m.push(m.cursor.u16())],                                           // BININT2
  [0x8a, (m) => m.push(long(bytes(m, m.cursor.u8())))],                            // LONG1
  [0x8b, (m) => m.push(long(bytes(m, m.cursor.u32())))],                           // LONG4
  [0x47, (m) => m.push(m.cursor.f64())],                                           // BINFLOAT
  [0x49, (m) => m.push(integer(line(m)))],                                         // INT
  [0x4c, (m) => m.push(decimal(line(m).replace(/L$/, "")))],                       // LONG
  [0x46, (m) => m.push(float(line(m)))],                                           // FLOAT
  [0x58, (m) => m.push(text(bytes(m, m.cursor.u32())))],                           // BINUNICODE
  [0x8c, (m) => m.push(text(bytes(m, m.cursor.u8())))],                            // SHORT_BINUNICODE
  [0x8d, (m) => m.push(text(bytes(m, m.cursor.u64())))],                           // BINUNICODE8
  // Strings of Python 2: bytes or text; text is what names are.
  [0x54, (m) => m.push(latin1.decode(bytes(m, m.cursor.u32())))],                  // BINSTRING
  [0x55, (m) => m.push(latin1.decode(bytes(m, m.cursor.u8())))],                   // SHORT_BINSTRING
  [0x42, (m) => m.push(new Uint8Array(bytes(m, m.cursor.u32())))],                 // BINBYTES
  [0x43, (m) => m.push(new Uint8Array(bytes(m, m.cursor.u8())))],                  // SHORT_BINBYTES
  [0x8e, (m) => m.push(new Uint8Array(bytes(m, m.cursor.u64())))],                 // BINBYTES8
  [0x96, (m) => m.push(new Uint8Array(bytes(m, m.cursor.u64())))],                 // BYTEARRAY8
  // Collections.
  [0x28, (m) => m.mark()],                                                         // MARK
  [0x29, (m) => m.push(new Tuple([]))],                                            // EMPTY_TUPLE
  [0x74, (m) => m.push(new Tuple(m.popToMark()))],                                 // TUPLE
  [0x85, (m) => m.push(m.popTuple(1))],                                            // TUPLE1
  [0x86, (m) => m.push(m.popTuple(2))],                                            // TUPLE2
  [0x87, (m) => m.push(m.popTuple(3))],                                            // TUPLE3
  [0x5d, (m) => m.push([])],                                                       // EMPTY_LIST
  [0x6c, (m) => m.push(m.popToMark())],                                            // LIST
  [0x61, (m) => m.extend([m.pop()])],                                              // APPEND
  [0x65, (m) => m.extend(m.popToMark())],                                          // APPENDS
  [0x7d, (m) => m.push(new Map())],                                                // EMPTY_DICT
  [0x64, (m) => m.push(dictOf(m.popToMark()))],                                    // DICT
  [0x73, (m) => m.setItems(m.popTuple(2).items)],                                  // SETITEM
  [0x75, (m) => m.setItems(m.popToMark())],                                        // SETITEMS
  [0x8f, (m) => m.push(new Set())],                                                // EMPTY_SET
  [0x90, (m) => m.addItems(m.popToMark())],                                        // ADDITEMS
  [0x91, (m) => m.push(new Set(m.popToMark()))],                                   // FROZENSET
  // Stack and memo.
  [0x30, (m) => void m.pop()],                                                     // POP
  [0x31, (m) => void m.popToMark()],                                               // POP_MARK
  [0x32, (m) => m.duplicate()],                                                    // DUP
  [0x71, (m) => m.put(m.cursor.u8())],                                             // BINPUT
  [0x72, (m) => m.put(m.cursor.u32())],                                            // LONG_BINPUT
  [0x70, (m) => m.put(Number(decimal(line(m))))],                                  // PUT
  [0x94, (m) => m.memoize()],                                                      // MEMOIZE
  [0x68, (m) => m.get(m.cursor.u8())],                                             // BINGET
  [0x6a, (m) => m.get(m.cursor.u32())],                                            // LONG_BINGET
  [0x67, (m) => m.get(Number(decimal(line(m))))],                                  // GET
  // Names and what is made with them.
  [0x63, (m) => m.push(globalName(line(m), line(m)))],                             // GLOBAL
  [0x93, stackGlobal],                                                             // STACK_GLOBAL
  [0x52, (m) => m.call()],                                                         // REDUCE
  [0x81, (m) => m.call()],                                                         // NEWOBJ
  [0x62, (m) => m.build()],                                                        // BUILD
  [0x51, (m) => m.persistent()],                                                   // BINPERSID
  // Frames.
  [0x80, protocol],                                                                // PROTO
  [0x95, (m) => void m.cursor.u64()],                                              // FRAME
]);

export const STOP = 0x2e;

/** `01` and `00` are how protocol 0 writes booleans. */
function integer(digits: string): PickleValue {
  return digits === "01" ? true : digits === "00" ? false : decimal(digits);
}

function stackGlobal(machine: Machine): void {
  const [module, name] = machine.popTuple(2).items;
  if (typeof module !== "string" || typeof name !== "string")
    throw damaged("the pickle names something without a text");
  machine.push(globalName(module, name));
}

function protocol({ cursor }: Machine): void {
  const version = cursor.u8();
  if (version > 5)
    throw damaged("the pickle has an unknown protocol", { given: String(version), expected: "at most 5" });
}
