/** Programs that write in place, share memory, or meet kernels that do otherwise, exported by PyTorch, converted and run at two sizes: equal or refused. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { isTenonError } from "tenon/base";
import { Engine } from "tenon/runtime";
import { readNpy, type Tensor } from "tenon/tensor";
import { convertProgram } from "tenon/torch";
import { runPython } from "./onnx-cases.js";

const script = resolve(import.meta.dirname, "../../../test/python/programs.py");

/** What a program cannot be followed in, by its name. */
const REFUSED: Readonly<Record<string, RegExp>> = {
  reshape_of_turned_is_a_copy: /aten\.reshape\.default.*may show or have copied/,
  write_chunk: /write-back through this view/,
  sum_over_an_ellipsis: /a sum over an ellipsis/,
};

describe("small programs of PyTorch", () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-programs-"));
  let engine: Engine;
  let names: readonly string[];
  before(async () => {
    engine = await Engine.open({ cache: false });
    names = JSON.parse(runPython([script, folder]));
  });
  after(async () => {
    await engine.close();
    rmSync(folder, { recursive: true });
  });

  const load = (name: string, c: number, kind: string): Tensor[] => {
    const files = Array.from({ length: 8 }, (_, k) => join(folder, `${name}.${c}.${kind}${k}.npy`));
    return files.filter((file) => existsSync(file)).map((file) => readNpy(readFileSync(file)));
  };

  test("each gives what PyTorch gives, or is refused by name", async (t) => {
    assert.ok(names.length > 10);
    for (const name of names) {
      await t.test(name, async () => {
        const converting = convertProgram(join(folder, `${name}.pt2`));
        const refused = REFUSED[name];
        if (refused !== undefined) {
          await assert.rejects(
            converting,
            (error) => isTenonError(error, "MODEL_UNSUPPORTED") && refused.test(error.message),
          );
          return;
        }
        const model = await engine.load(await converting, { name, calibrate: false });
        const { inputs, outputs } = model.signature;
        for (const c of [0, 1]) {
          const given = load(name, c, "in");
          const result = await model.run(
            Object.fromEntries(inputs.map((value, i) => [value.name, given[i]!])),
          );
          const expected = load(name, c, "out");
          assert.equal(outputs.length, expected.length);
          outputs.forEach((value, k) => {
            const [a, b] = [result[value.name]!, expected[k]!];
            assert.deepEqual([a.dtype, a.shape], [b.dtype, b.shape]);
            const [x, y] = [a, b].map((tensor) =>
              Array.from(tensor.contiguous().data as ArrayLike<number | bigint>, Number),
            );
            x!.forEach((number, i) => {
              assert.ok(
                Object.is(number, y![i]) || Math.abs(number - y![i]!) < 1e-5,
                `${value.name}[${i}]: ${number}, not ${y![i]}`,
              );
            });
          });
        }
      });
    }
  });
});
