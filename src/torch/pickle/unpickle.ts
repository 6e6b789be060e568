/** unpickle: one pickle as inert data. No name is looked up, no code of the file or of this program is called by it. */
import { damaged } from "../invalid.js";
import type { Cursor } from "./cursor.js";
import { Machine, type PickleOptions } from "./machine.js";
import { OPCODES, STOP } from "./opcodes.js";
import type { PickleValue } from "./values.js";

const MAX_OPCODES = 5_000_000;

/** Reads one pickle and leaves the cursor behind it. Throws FILE_INVALID or MODEL_UNSUPPORTED. */
export function unpickle(cursor: Cursor, options: PickleOptions = {}): PickleValue {
  const machine = new Machine(cursor, options);
  for (let done = 0; ; done++) {
    if (done >= MAX_OPCODES) throw damaged("the pickle has too many opcodes");
    const code = cursor.u8();
    if (code === STOP) return machine.result();
    const opcode = OPCODES.get(code);
    if (opcode === undefined) {
      throw damaged("the pickle has an opcode that is not on the list", {
        given: `0x${code.toString(16).padStart(2, "0")} at byte ${cursor.position - 1}`,
      });
    }
    opcode(machine);
  }
}
