/** tenon/tensor held against numpy: every operation on seeded random shapes, dtypes and views, and the files of each. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { isTenonError } from "tenon/base";
import * as t from "tenon/tensor";
import { type Case, OPERATIONS, type Options, type Tolerance } from "./numpy-cases.js";

type Tensor = t.Tensor;
type DType = t.DType;

const script = resolve(import.meta.dirname, "../../../test/python/numpy_ops.py");

/** Units in the last place are counted from this many significant bits. */
const PRECISION: Partial<Record<DType, number>> = { float64: 52, float32: 23, float16: 10 };

function compare(got: Tensor, expected: Tensor, tolerance: Tolerance, label: string): void {
  assert.equal(got.toString(), expected.toString(), label);
  const flat = (x: Tensor): unknown[] => ([x.toArray()] as unknown[]).flat(x.rank);
  const [ours, theirs] = [flat(got), flat(expected)];
  const bits = PRECISION[got.dtype];
  const least = got.dtype === "float16" ? 2 ** -24 : got.dtype === "float32" ? 2 ** -149 : Number.MIN_VALUE;
  ours.forEach((x, i) => {
    const y = theirs[i]!;
    if (x === y || (Number.isNaN(x) && Number.isNaN(y))) return;
    if (typeof x === "object") {
      assert.deepEqual(x, y, `${label}, element ${i}`);
      return;
    }
    const units = bits === undefined || tolerance === "exact" ? 0 : tolerance;
    const unit = Math.max(Math.abs(Number(y)) * 2 ** -(bits ?? 0), least);
    const near = Math.abs(Number(x) - Number(y)) <= units * unit;
    // Values that are sums cancel to nearly nothing: what is left is rounding of terms of about 1.
    const cancelled = units >= 2 && Math.abs(Number(x) - Number(y)) <= units * 2 ** -((bits ?? 0) + 2);
    assert.ok(near || cancelled, `${label}, element ${i}: ${x}, numpy has ${y}`);
  });
}

const CASES_EACH = 25;
const cases: { op: string; inputs: string[]; options: Options; made: Case }[] = [];
const inputs: Record<string, Tensor> = {};
for (const [op, { make }] of Object.entries(OPERATIONS)) {
  for (let i = 0; i < CASES_EACH; i++) {
    const made = make();
    const names = made.inputs.map((x, k) => {
      const name = `${cases.length}_${k}`;
      inputs[name] = x.clone();
      return name;
    });
    cases.push({ op, inputs: names, options: made.options, made });
  }
}

type Described = [dtype: string, shape: number[], values: string[]];

function compareDescribed(got: Tensor, [dtype, shape, values]: Described, label: string): void {
  assert.equal(got.toString(), `Tensor ${dtype} [${shape.join(", ")}]`, label);
  const flat = ([got.toArray()] as unknown[]).flat(got.rank === 0 ? 0 : got.rank);
  const texts = flat.map((x) =>
    Array.isArray(x) ? x.join(",") : typeof x === "boolean" ? String(Number(x)) : String(x),
  );
  assert.deepEqual(texts, values, label);
}

describe("numpy", () => {
  let folder = "";
  let expected: Record<string, Tensor> = {};

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "tenon-numpy-"));
    writeFileSync(join(folder, "inputs.npz"), t.writeNpz(inputs));
    writeFileSync(
      join(folder, "cases.json"),
      JSON.stringify(cases.map(({ op, inputs: names, options }) => ({ op, inputs: names, options }))),
    );
    const printed = execFileSync(process.env.TENON_PYTHON!, [script, folder], {
      encoding: "utf8",
      timeout: 120_000,
    });
    assert.equal(printed.trim(), `computed ${cases.length}`);
    expected = t.readNpz(readFileSync(join(folder, "expected.npz")));
  });

  after(() => rmSync(folder, { recursive: true }));

  for (const [op, { tolerance }] of Object.entries(OPERATIONS)) {
    test(`${op} is numpy's`, () => {
      cases.forEach((each, i) => {
        if (each.op !== op) return;
        const shapes = each.made.inputs.map((x) => `${x.dtype} [${x.shape}] strides [${x.strides}]`);
        const label = `${op}(${shapes.join("; ")}) ${JSON.stringify(each.options)}`;
        compare(each.made.run(), expected[i]!, tolerance, label);
      });
    });
  }

  test("every file format of numpy is read: versions, orders, byte orders, texts, archives", () => {
    const formats = JSON.parse(readFileSync(join(folder, "formats.json"), "utf8")) as {
      files: [string, ...Described][];
      archive: Record<string, Described>;
    };
    for (const [file, ...described] of formats.files) {
      compareDescribed(t.readNpy(readFileSync(join(folder, file))), described, file);
    }
    for (const archive of ["stored.npz", "deflated.npz"]) {
      const tensors = t.readNpz(readFileSync(join(folder, archive)));
      assert.deepEqual(Object.keys(tensors), Object.keys(formats.archive));
      for (const [name, x] of Object.entries(tensors))
        compareDescribed(x, formats.archive[name]!, `${archive}/${name}`);
    }
    for (const file of ["object.npy", "structured.npy"]) {
      assert.throws(
        () => t.readNpy(readFileSync(join(folder, file))),
        (error) => isTenonError(error, "TENSOR_DTYPE"),
      );
    }
  });
});
