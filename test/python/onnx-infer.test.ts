/** Inference against what happened: the recorded outputs of every official case; and against the declared types. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  check,
  formatType,
  infer,
  inferTypes,
  makeGraph,
  type OnnxModel,
  readModel,
  type TensorData,
  tensorData,
  type Value,
  type ValueType,
} from "tenon/onnx";
import { Tensor } from "tenon/tensor";
import type { CaseValue } from "../conformance/case-data.js";
import { caseName, readDataSets } from "../conformance/cases.js";
import { modelsOf } from "./onnx-cases.js";

/** The model without what it says about its results. */
function undeclared(model: OnnxModel): OnnxModel {
  const outputs = model.graph.outputs.map(({ name }) => ({ name }));
  return { ...model, graph: makeGraph({ ...model.graph, outputs, valueInfo: new Map() }) };
}

const MOST_VALUES = 64;

/** Small tensors among the inputs become constants, as models of practice have them: targets, axes, pads. */
function withConstants(model: OnnxModel, inputs: readonly CaseValue[]): OnnxModel {
  const initializers = new Map<string, TensorData>(model.graph.initializers);
  const kept = model.graph.inputs.filter(({ name }, i) => {
    const value = inputs[i];
    if (!(value instanceof Tensor) || value.rank > 1 || value.size > MOST_VALUES) return true;
    initializers.set(name, tensorData(value, name));
    return false;
  });
  return { ...model, graph: makeGraph({ ...model.graph, inputs: kept, initializers }) };
}

/** Every size of the inputs becomes a symbol: equal sizes the same one, so that shapes still fit. */
function withSymbols(model: OnnxModel): OnnxModel {
  const inputs = model.graph.inputs.map((input): Value => {
    if (input.type?.kind !== "tensor" || input.type.shape === undefined) return input;
    const shape = input.type.shape.map((dim) => (typeof dim === "number" && dim > 1 ? `s${dim}` : dim));
    return { ...input, type: { kind: "tensor", dtype: input.type.dtype, shape } };
  });
  return { ...model, graph: makeGraph({ ...model.graph, inputs }) };
}

/** The number that an expression over sizes is; undefined when it has a symbol of unknown size. */
function evaluate(dim: string, sizes: ReadonlyMap<string, number>): number | undefined {
  const own = sizes.get(dim);
  if (own !== undefined) return own;
  let sum = 0;
  for (const [, sign, term] of dim.matchAll(/([+-]?)([^+-]+)/g)) {
    const factors = term!
      .split("*")
      .map((factor) => sizes.get(factor) ?? Number(/^s?(\d+)$/.exec(factor)?.[1]));
    sum += (sign === "-" ? -1 : 1) * factors.reduce((product, factor) => product * factor, 1);
  }
  return Number.isNaN(sum) ? undefined : sum;
}

/** What a value and its inferred type disagree about. */
function contradiction(
  type: ValueType | undefined,
  value: CaseValue,
  sizes: Map<string, number>,
): string | undefined {
  if (type === undefined || value === null) return undefined;
  if (type.kind === "sequence" || type.kind === "optional") {
    if (value instanceof Tensor)
      return type.kind === "sequence"
        ? "no sequence"
        : contradiction(type.element ?? undefined, value, sizes);
    const inner = type.kind === "optional" ? type.element : type;
    const element = inner?.kind === "sequence" ? (inner.element ?? undefined) : undefined;
    for (const item of value) {
      const found = contradiction(element, item, sizes);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (!(value instanceof Tensor)) return "no tensor";
  if (type.kind !== "tensor") return undefined;
  const fits =
    (type.dtype === null || type.dtype === value.dtype) &&
    (type.shape === undefined ||
      (type.shape.length === value.rank &&
        type.shape.every((dim, i) => {
          const size = typeof dim === "string" ? evaluate(dim, sizes) : dim;
          return size === undefined || size === null || size === value.shape[i];
        })));
  return fits ? undefined : `${formatType(type)}, but was ${value.dtype} [${value.shape.join(", ")}]`;
}

/** Sizes of the symbols that inputs declare. */
function symbolSizes(model: OnnxModel, given: ReadonlyMap<string, CaseValue>): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const { name, type } of model.graph.inputs) {
    const value = given.get(name);
    if (type?.kind !== "tensor" || !(value instanceof Tensor)) continue;
    type.shape?.forEach((dim, axis) => void (typeof dim === "string" && sizes.set(dim, value.shape[axis]!)));
  }
  return sizes;
}

/** Each case as it is, with small inputs as constants, and with symbols for sizes on top. */
const FORMS: Readonly<Record<string, (model: OnnxModel, inputs: readonly CaseValue[]) => OnnxModel>> = {
  "as they are": (model) => model,
  "with constants": withConstants,
  "with constants and symbols": (model, inputs) => withSymbols(withConstants(model, inputs)),
};

for (const suite of ["node", "simple", "pytorch-operator", "pytorch-converted"] as const) {
  for (const [form, change] of Object.entries(FORMS)) {
    test(`${suite}, ${form}: inference contradicts no recorded output and no declared type`, async () => {
      const complaints: string[] = [];
      const unknown: string[] = [];
      let outputs = 0;
      for (const path of modelsOf(suite)) {
        const name = caseName(path);
        try {
          const original = await readModel(path);
          if (form === "as they are") check(infer(original));
          for (const set of await readDataSets(path, original)) {
            const model = change(original, set.inputs);
            const { types } = inferTypes(undeclared(model));
            const given = new Map(set.inputs.map((value, i) => [original.graph.inputs[i]!.name, value]));
            const sizes = symbolSizes(model, given);
            for (const [i, value] of set.outputs.entries()) {
              const type = types.get(model.graph.outputs[i]!.name);
              outputs++;
              if (/[?…]/.test(formatType(type))) unknown.push(`${name}: ${formatType(type)}`);
              const found = contradiction(type, value, sizes);
              if (found !== undefined) complaints.push(`${name}: ${found}`);
            }
          }
        } catch (error) {
          complaints.push(`${name}: ${(error as Error).message}`);
        }
      }
      console.log(`# ${suite}, ${form}: ${outputs} outputs, ${unknown.length} not known in full`);
      if (process.env.TENON_SHOW_GAPS) console.log(unknown.join("\n"));
      assert.deepEqual(complaints, []);
    });
  }
}

test("light: inference agrees with the declared types and leaves no gap", async () => {
  for (const path of modelsOf("light")) {
    const model = await readModel(path);
    check(infer(model));
    const { gaps, notes } = inferTypes(undeclared(model));
    assert.deepEqual([path.split("/").at(-1), gaps, notes], [path.split("/").at(-1), 0, []]);
  }
});
