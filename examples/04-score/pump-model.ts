/** The model: how likely a pump fails, from its three readings; a logistic regression with given coefficients. */
import { graph, writeModel } from "tenon/onnx";
import { tensor } from "tenon/tensor";

export function pumpModel(): Uint8Array {
  const g = graph({ opset: 17, name: "pumps" });
  const x = g.input("x", "float32", ["rows", 3]);
  const weights = g.initializer("weights", tensor([[0.08], [1.4], [-0.3]]));
  const bias = g.initializer("bias", tensor([-9]));
  g.output(g.add("Sigmoid", [g.add("Gemm", [x, weights, bias])]), "risk");
  return writeModel(g.model());
}
