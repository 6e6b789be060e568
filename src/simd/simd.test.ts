/** The assembler: encodings, control flow, and every instruction of the table taken by the engine. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  f32x4,
  i32,
  type KernelFunction,
  kernel,
  lane,
  load,
  loopWhile,
  op,
  shuffle,
  store,
  when,
} from "./assembler.js";
import { INSTRUCTIONS, type Instruction, signed, type Type, unsigned } from "./instructions.js";
import { hasSimd, loadKernels, makeMemory } from "./module.js";

test("integers are encoded as LEB128", () => {
  assert.deepEqual(unsigned(624485), [0xe5, 0x8e, 0x26]);
  assert.deepEqual(signed(-123456), [0xc0, 0xbb, 0x78]);
  assert.deepEqual(signed(64), [0xc0, 0]);
});

test("every instruction of the table is valid with its operand and result types", {
  skip: hasSimd() ? false : "WebAssembly has no SIMD here",
}, () => {
  for (const name of Object.keys(INSTRUCTIONS) as Instruction[]) {
    const { takes } = INSTRUCTIONS[name];
    const made = kernel("probe", { at: "i32" }, (_, { at }) => {
      const operands = (takes as readonly Type[]).map((type) => load(type, at.get));
      // The operands were made from the row's own list of types.
      const result = op(name, ...(operands as never));
      return { statements: [store(at.get, result)] };
    });
    assert.doesNotThrow(() => loadKernels([made], makeMemory(16)), name);
  }
});

test("loops, branches, lanes and shuffles do what they say", {
  skip: hasSimd() ? false : "WebAssembly has no SIMD here",
}, () => {
  const memory = makeMemory(64);
  const positive: KernelFunction = kernel("positive", { at: "i32", bytes: "i32" }, (f, { at, bytes }) => {
    const total = f.local("f32x4");
    const count = f.local("i32");
    const x = load("f32x4", at.get);
    return {
      statements: [
        loopWhile(
          op("i32.gt_u", bytes.get, i32(0)),
          total.set(op("f32x4.add", total.get, shuffle(x, x, [3, 2, 1, 0]))),
          when(
            op("i32x4.any_true", op("f32x4.gt", x, f32x4(0))),
            count.set(op("i32.add", count.get, i32(1))),
          ),
          at.set(op("i32.add", at.get, i32(16))),
          bytes.set(op("i32.sub", bytes.get, i32(16))),
        ),
        store(i32(48), total.get),
        store(i32(32), lane(total.get, 3)),
      ],
      result: count.get,
    };
  });
  const { positive: run } = loadKernels([positive], memory) as {
    positive: (at: number, bytes: number) => number;
  };
  const floats = new Float32Array(memory.buffer);
  floats.set([1, 2, 3, 4, -1, -2, 3, -5]);
  assert.equal(run(0, 32), 2);
  assert.deepEqual([...floats.subarray(12, 16)], [-1, 6, 0, 0]);
  assert.equal(floats[8], 0);
  assert.equal(run(0, 0), 0);
});
