/** Small models for tests, made by the builder. */
import { writeFileSync } from "node:fs";
import { graph, type OnnxModel, writeModel } from "tenon/onnx";
import { tensor } from "tenon/tensor";

/** `y = x · [[1, 2, 3], [4, 5, 6]]`, for any number of rows. */
export function matMulModel(): OnnxModel {
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
