/** Inference against two others: every value of real runs, and the strict shape inference of the onnx package. */
import assert from "node:assert/strict";
import { resolve } from "node:path";
import { test } from "node:test";
import { Engine, type Tensor } from "tenon";
import {
  type Dim,
  formatType,
  inferTypes,
  makeGraph,
  type OnnxModel,
  readModel,
  type ValueType,
} from "tenon/onnx";
import { dtypeFromOnnx, tensorFromStorage } from "tenon/tensor";
import { MODELS } from "../support/models.js";
import { modelsOf, runPython } from "./onnx-cases.js";

/** The model with every value that a node makes as an output, and without what it says about them. */
function allValues(model: OnnxModel): OnnxModel {
  const names = new Set(model.graph.nodes.flatMap((node) => node.outputs));
  names.delete("");
  const outputs = [...names].map((name) => ({ name }));
  return { ...model, graph: makeGraph({ ...model.graph, outputs, valueInfo: new Map() }) };
}

/** Values whose inferred type is not what the run gave, and how many types were known in full. */
async function contradictions(engine: Engine, model: OnnxModel, inputs: Readonly<Record<string, Tensor>>) {
  const open = allValues(model);
  const { types, gaps } = inferTypes(open);
  const sizes = new Map<string, number>();
  for (const { name, type } of model.graph.inputs) {
    if (type?.kind !== "tensor") continue;
    type.shape?.forEach(
      (dim, i) => void (typeof dim === "string" && sizes.set(dim, inputs[name]!.shape[i]!)),
    );
  }
  const loaded = await engine.load(open, { name: "open", calibrate: false, batch: { max: 1 } });
  const outputs = await loaded.run(inputs);
  const found: string[] = [];
  for (const { name } of open.graph.outputs) {
    const value = outputs[name]!;
    const type = types.get(name);
    if (!fits(type, value, sizes))
      found.push(`${name}: ${formatType(type)} was ${value.dtype} [${value.shape}]`);
  }
  await loaded.unload();
  return { found, gaps, values: open.graph.outputs.length };
}

function fits(type: ValueType | undefined, value: Tensor, sizes: ReadonlyMap<string, number>): boolean {
  if (type?.kind !== "tensor") return type === undefined;
  if (type.dtype !== null && type.dtype !== value.dtype) return false;
  if (type.shape === undefined) return true;
  return (
    type.shape.length === value.rank && type.shape.every((dim, i) => sizeFits(dim, value.shape[i]!, sizes))
  );
}

function sizeFits(dim: Dim, size: number, sizes: ReadonlyMap<string, number>): boolean {
  if (dim === null || typeof dim === "number") return dim === null || dim === size;
  const cut = /^min\((.+), (\d+)\)$/.exec(dim);
  const known = cut === null ? sizes.get(dim) : Math.min(sizes.get(cut[1]!) ?? Number.NaN, Number(cut[2]));
  return known === undefined || Number.isNaN(known) || known === size;
}

test("no value of a run contradicts what was inferred, in nine architectures and four of ours", async () => {
  const engine = await Engine.open({ cache: false, lanes: 1 });
  try {
    for (const path of modelsOf("light")) {
      const model = await readModel(path);
      const [input] = model.graph.inputs;
      const shape = input!.type?.kind === "tensor" ? (input!.type.shape as number[]) : [];
      const size = shape.reduce((product, dim) => product * dim, 1);
      const x = tensorFromStorage(
        "float32",
        shape,
        Float32Array.from({ length: size }, (_, i) => i / size),
      );
      const { found, gaps } = await contradictions(engine, model, { [input!.name]: x });
      assert.deepEqual([path.split("/").at(-1), found, gaps], [path.split("/").at(-1), [], 0]);
    }
    for (const name of ["mlp", "cnn", "squeezenet", "encoder"] as const) {
      const { build, inputs } = MODELS[name];
      const { found, gaps } = await contradictions(engine, build(), inputs(2));
      assert.deepEqual([name, found, gaps], [name, [], 0]);
    }
  } finally {
    await engine.close();
  }
});

interface Known {
  readonly path: string;
  readonly error?: string;
  readonly types?: Readonly<Record<string, readonly [number, readonly (number | string | null)[] | null]>>;
}

test("the onnx package infers nothing else, over all official models", async () => {
  const script = resolve(import.meta.dirname, "../../../test/python/onnx_shapes.py");
  const paths = (["node", "simple", "light", "pytorch-operator"] as const).flatMap(modelsOf);
  const complaints: string[] = [];
  let compared = 0;
  let more = 0;
  let less = 0;
  for (const line of runPython([script], paths.join("\n")).trimEnd().split("\n")) {
    const { path, types: theirs } = JSON.parse(line) as Known;
    if (theirs === undefined) continue;
    const model = await readModel(path);
    const { types } = inferTypes({ ...model, graph: makeGraph({ ...model.graph, valueInfo: new Map() }) });
    for (const [name, [code, dims]] of Object.entries(theirs)) {
      const type = types.get(name);
      if (type?.kind !== "tensor") continue;
      compared++;
      const isOther =
        (type.dtype !== null && code !== 0 && type.dtype !== dtypeFromOnnx(code)) ||
        (type.shape !== undefined && dims !== null && differ(type.shape, dims));
      if (isOther)
        complaints.push(`${path.split("/").at(-2)} ${name}: ${formatType(type)}, theirs [${dims}]`);
      const [ours, other] = [knownSizes(type.shape), knownSizes(dims ?? undefined)];
      if (ours > other) more++;
      else if (ours < other) less++;
    }
  }
  console.log(`# ${compared} values compared, ${more} known better, ${less} known less`);
  assert.deepEqual(complaints, []);
});

function differ(ours: readonly Dim[], theirs: readonly (number | string | null)[]): boolean {
  if (ours.length !== theirs.length) return true;
  return ours.some((dim, i) => typeof dim === "number" && typeof theirs[i] === "number" && dim !== theirs[i]);
}

function knownSizes(shape: readonly Dim[] | undefined): number {
  // Names that the package makes up say nothing.
  return shape === undefined
    ? -1
    : shape.filter((dim) => dim !== null && !String(dim).startsWith("unk__")).length;
}
