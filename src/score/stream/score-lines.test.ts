/** Lines scored by a scorer that is plain arithmetic: order, kept fields, bad lines, lines cut anywhere. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { tensorFromStorage } from "../../tensor/index.js";
import type { Scorer } from "../scorer.js";
import { type BadLine, type LinesOptions, scoreLines } from "./score-lines.js";

/** y = the sums of rows of x [rows, 2]; */
const sums: Scorer = {
  signature: {
    inputs: [{ name: "x", dtype: "float32", dims: ["n", 2] }],
    outputs: [{ name: "y", dtype: "float32", dims: ["n"] }],
  },
  run: async ({ x }) => {
    const rows = x!.shape[0]!;
    const values = x!.data as Float32Array;
    const y = Float32Array.from({ length: rows }, (_, i) => values[2 * i]! + values[2 * i + 1]!);
    // Later runs overtake earlier ones.
    await new Promise<void>((resolve) => (rows % 2 === 0 ? setImmediate(resolve) : queueMicrotask(resolve)));
    return { y: tensorFromStorage("float32", [rows], y) } as never; // outputs own nothing here
  },
};

/** Scores chunks, gives the lines of the answer. */
async function score(
  chunks: readonly string[],
  options: Partial<LinesOptions> = {},
): Promise<{ lines: string[]; bad: BadLine[]; rows: number; quarantined: number }> {
  let text = "";
  const bad: BadLine[] = [];
  const summary = await scoreLines(
    (async function* () {
      for (const chunk of chunks) yield new TextEncoder().encode(chunk);
    })(),
    {
      scorer: sums,
      map: { x: "a,b" },
      keep: "all",
      batch: 3,
      onError: "quarantine",
      write: async (part) => {
        text += part;
      },
      onBad: (line) => bad.push(line),
      ...options,
    },
  );
  return { ...summary, bad, lines: text.split("\n").slice(0, -1) };
}

describe("scoreLines", () => {
  it("answers in order with the kept fields as they were written, however the bytes are cut", async () => {
    const lines = Array.from(
      { length: 50 },
      (_, i) => `{"id":${i + 1}00000000000000000000,"a":${i},"b":0.5,"t":"ü"}`,
    );
    const text = `${lines.join("\r\n\n")}`;
    const expected = lines.map((_, i) => `{"id":${i + 1}00000000000000000000,"t":"ü","y":${i + 0.5}}`);
    for (const cut of [1, 7, 100, 10_000]) {
      const chunks = text.match(new RegExp(`[^]{1,${cut}}`, "g"))!;
      const { lines: found, rows, quarantined } = await score(chunks, { inFlight: 4 });
      assert.deepEqual([found, rows, quarantined], [expected, 50, 0], `chunks of ${cut}`);
    }
  });

  it("answers what has come before more comes", async () => {
    let answered: () => void = () => undefined;
    let answers = "";
    const input = async function* (): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 3; i++) {
        const written = new Promise<void>((resolve) => {
          answered = resolve;
        });
        yield new TextEncoder().encode(`{"a":${i},"b":1}\n`);
        await written; // for ever, if a full batch were waited for
      }
    };
    await scoreLines(input(), {
      scorer: sums,
      map: { x: "a,b" },
      keep: "none",
      batch: 100,
      onError: "fail",
      write: async (text) => {
        answers += text;
        answered();
      },
      onBad: () => assert.fail("no line is bad"),
    });
    assert.equal(answers, '{"y":1}\n{"y":2}\n{"y":3}\n');
  });

  const mixed = ['{"a":1,"b":1,"k":1}\n{"a":"x","b":1,"k":2}\nno\n{"b":1,"k":4}\n{"a":2,"b":2,"k":5}\n'];

  it("sets bad lines aside with their numbers and reasons", async () => {
    const { lines, bad } = await score(mixed);
    assert.deepEqual(lines, ['{"k":1,"y":2}', '{"k":5,"y":4}']);
    assert.deepEqual(
      bad.map(({ row, code }) => [row, code]),
      [
        [1, "TENSOR_VALUE"],
        [2, "INPUT_VALUE"],
        [3, "INPUT_MISSING"],
      ],
    );
  });

  it("gives nulls in their places, or ends", async () => {
    const { lines } = await score(mixed, { onError: "null" });
    assert.deepEqual(lines, [
      '{"k":1,"y":2}',
      '{"k":2,"y":null}',
      '{"y":null}',
      '{"k":4,"y":null}',
      '{"k":5,"y":4}',
    ]);
    await assert.rejects(score(mixed, { onError: "fail" }), { code: "ROWS_REFUSED" });
  });

  it("stops at the limit, keeps named fields, refuses fields of an output's name", async () => {
    const line = '{"a":1,"b":2,"y":7,"z":8}\n';
    const { lines } = await score([line.repeat(9)], { limit: 2, keep: ["z", "none"] });
    assert.deepEqual(lines, ['{"z":8,"none":null,"y":3}', '{"z":8,"none":null,"y":3}']);
    await assert.rejects(score([line]), { code: "USAGE" });
    const { lines: rest, bad } = await score(['{"a":1,"b":2}\n{"a":1,"b":2}\n{"a":1,"b":2}\n', line]);
    assert.deepEqual([rest.length, bad[0]?.code], [3, "INPUT_DUPLICATE"]);
  });

  it("reads 64-bit numbers exactly, also in lists, and takes true and false for bools", async () => {
    const echo = (dtype: "int64" | "bool"): Scorer => ({
      signature: {
        inputs: [{ name: "v", dtype, dims: ["n", 2] }],
        outputs: [{ name: "w", dtype, dims: ["n", 2] }],
      },
      run: async ({ v }) => ({ w: v }) as never, // outputs own nothing here
    });
    const ints = await score(['{"v":[9007199254740993, -9007199254740995]}\n'], {
      scorer: echo("int64"),
      map: {},
    });
    assert.deepEqual(ints.lines, ['{"w":[9007199254740993,-9007199254740995]}']);
    const packed = await score(['{"p":9007199254740993,"q":0}\n'], {
      scorer: echo("int64"),
      map: { v: "p,q" },
    });
    assert.deepEqual(packed.lines, ['{"w":[9007199254740993,0]}']);
    const bools = await score(['{"v":[true,0]}\n{"v":[2,0]}\n'], { scorer: echo("bool"), map: {} });
    assert.deepEqual([bools.lines, bools.bad.length], [['{"w":[true,false]}'], 1]);
  });

  it("passes a failure of writing on, and one of the model that is no row's", async () => {
    const gone = async (): Promise<void> => Promise.reject(new Error("the reader is gone"));
    await assert.rejects(score(['{"a":1,"b":1}\n'.repeat(100)], { write: gone }), /the reader is gone/);
    const broken: Scorer = { ...sums, run: () => Promise.reject(new Error("broken")) };
    await assert.rejects(score(['{"a":1,"b":1}\n'], { scorer: broken }), /broken/);
  });
});
