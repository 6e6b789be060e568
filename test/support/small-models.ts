/** Small models, each of which shows one behaviour that tests need. */
import { writeFileSync } from "node:fs";
import { graph, type OnnxModel, writeModel } from "tenon/onnx";
import { DTYPES, type DType, tensor, tensorFromStorage } from "tenon/tensor";

/** Opset from which Identity takes the dtypes that came late. */
function opsetFor(dtype: DType): number {
  if (dtype === "int4" || dtype === "uint4") return 21;
  return DTYPES[dtype].onnx >= 17 ? 19 : 17;
}

/** y = x, of any dtype that ONNX Runtime knows (strings too); x [N, 3] unless other dims are given. */
export function identityModel(dtype: DType, dims: readonly (number | string)[] = ["N", 3]): OnnxModel {
  const g = graph({ opset: opsetFor(dtype), name: `identity_${dtype}` });
  const x = g.input("x", dtype, dims);
  g.output(g.add("Identity", [x]), "y");
  return g.model();
}

/** `y = x · [[1, 2, 3], [4, 5, 6]]`, for any number of rows. */
function matMulModel(): OnnxModel {
  const g = graph({ opset: 17, name: "matmul" });
  const x = g.input("x", "float32", ["batch", 2]);
  const w = g.initializer(
    "w",
    tensor([
      [1, 2, 3],
      [4, 5, 6],
    ]),
  );
  g.output(g.add("MatMul", [x, w]), "y");
  return g.model();
}

export function saveMatMul(path: string): string {
  writeFileSync(path, writeModel(matMulModel()));
  return path;
}

/** sum = a + b, float32, both [N, 4]. */
export function addModel(): OnnxModel {
  const g = graph({ opset: 17, name: "add" });
  const a = g.input("a", "float32", ["N", 4]);
  const b = g.input("b", "float32", ["N", 4]);
  g.output(g.add("Add", [a, b]), "sum");
  return g.model();
}

/** Two outputs of different dtypes from x [N, 4]: double = 2x, float32 [N, 4]; largest = its place, int64 [N, 1]. */
export function twoOutputsModel(): OnnxModel {
  const g = graph({ opset: 17, name: "two_outputs" });
  const x = g.input("x", "float32", ["N", 4]);
  g.output(g.add("Add", [x, x]), "double");
  g.output(g.add("ArgMax", [x], { axis: 1 }), "largest");
  return g.model();
}

/** y = x − the mean over all rows, x [N, 4]: its rows mix, so it must never be batched. */
export function rowMixingModel(): OnnxModel {
  const g = graph({ opset: 17, name: "row_mixing" });
  const x = g.input("x", "float32", ["N", 4]);
  g.output(g.add("Sub", [x, g.add("ReduceMean", [x], { axes: [0] })]), "y");
  return g.model();
}

/** y, declared as [N, 4]: the rows of x (float32 [N, 4]) whose sum is below 1e6. No probe has another one, so the rows seem to be kept. */
export function droppingModel(): OnnxModel {
  const g = graph({ opset: 17, name: "dropping" });
  const x = g.input("x", "float32", ["N", 4]);
  const limit = g.initializer("limit", tensorFromStorage("float32", [1], Float32Array.of(1e6)));
  const axis = g.initializer("axis", tensorFromStorage("int64", [1], BigInt64Array.of(1n)));
  const kept = g.add("Less", [g.add("ReduceSum", [x, axis], { keepdims: 0 }), limit]);
  g.output(g.add("Compress", [x, kept], { axis: 0 }), "y", {
    kind: "tensor",
    dtype: "float32",
    shape: ["N", 4],
  });
  return g.model();
}

/** places = NonZero(x), int64 [1, K]: how many depends on the values, so its shape is known only after the run. */
export function nonZeroModel(): OnnxModel {
  const g = graph({ opset: 17, name: "non_zero" });
  const x = g.input("x", "float32", ["N"]);
  g.output(g.add("NonZero", [x]), "places");
  return g.model();
}

/**
 * y = x after `rounds` (int64, scalar) turns of a Loop, x float32 [64, 64]: about 10 µs a turn, so that a test can
 * make one run as long as it needs, and stop it between two nodes.
 */
export function longLoopModel(): OnnxModel {
  const g = graph({ opset: 17, name: "long_loop" });
  const rounds = g.input("rounds", "int64", []);
  const x = g.input("x", "float32", [64, 64]);
  const identity = new Float32Array(64 * 64);
  for (let i = 0; i < 64; i++) identity[65 * i] = 1;
  const eye = g.initializer("eye", tensorFromStorage("float32", [64, 64], identity));
  const body = g.subgraph("turn");
  body.input("turn", "int64", []);
  const going = body.input("going", "bool", []);
  const state = body.input("state", "float32", [64, 64]);
  body.output(body.add("Identity", [going]), "goes_on");
  body.output(body.add("MatMul", [state, eye]), "next_state");
  g.output(g.add("Loop", [rounds, "", x], { body }), "y");
  return g.model();
}

/** y = −x + x mod −1, int32 [N, 4]: the smallest int32 among the values ends the process that runs it (SIGFPE). */
export function intDivideModel(): OnnxModel {
  const g = graph({ opset: 17, name: "int_divide" });
  const x = g.input("x", "int32", ["N", 4]);
  // Mod divides element by element, where Div may divide whole vectors, which does not crash.
  const divisor = g.initializer("divisor", tensorFromStorage("int32", [1], Int32Array.of(-1)));
  g.output(g.add("Add", [g.add("Neg", [x]), g.add("Mod", [x, divisor])]), "y");
  return g.model();
}

/** The same on constants (37 of them, which no vector divides evenly): the process ends while the model is optimised at load. */
export function crashingLoadModel(): OnnxModel {
  const g = graph({ opset: 17, name: "crashing_load" });
  const x = g.input("x", "int32", [37]);
  const smallest = g.initializer(
    "smallest",
    tensorFromStorage("int32", [37], new Int32Array(37).fill(-(2 ** 31))),
  );
  const divisor = g.initializer("divisor", tensorFromStorage("int32", [37], new Int32Array(37).fill(-1)));
  g.output(g.add("Add", [x, g.add("Div", [smallest, divisor])]), "y");
  return g.model();
}

/** y = zeros, float32 of the shape that the input names: as large a result as a test asks for. */
export function zerosModel(): OnnxModel {
  const g = graph({ opset: 17, name: "zeros" });
  const shape = g.input("shape", "int64", ["R"]);
  g.output(g.add("ConstantOfShape", [shape]), "y");
  return g.model();
}
