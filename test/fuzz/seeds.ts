/** The sound models that mutants are made of: our own small ones, and the official test models where they are. */
import { readFileSync } from "node:fs";
import { graph, writeModel } from "tenon/onnx";
import { tensorFromStorage } from "tenon/tensor";
import { ATTACKS } from "../attacks/corpus.js";
import { modelsOf } from "../python/onnx-cases.js";
import { longLoopModel, nonZeroModel, rowMixingModel } from "../support/small-models.js";
import { type Seeds, seedsFrom } from "./mutate.js";

/** Larger models hide their mutations. */
const LARGEST = 64 * 1024;

function image(): Uint8Array {
  const g = graph({ opset: 17 });
  const x = g.input("x", "float32", [1, 2, 8, 8]);
  const w = g.initializer("w", tensorFromStorage("float32", [4, 2, 3, 3], new Float32Array(72).fill(0.1)));
  const scales = g.initializer("scales", tensorFromStorage("float32", [4], Float32Array.of(1, 1, 2, 2)));
  let y = g.add("Conv", [x, w], { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [1, 1] });
  y = g.add("DepthToSpace", [g.add("Relu", [y])], { blocksize: 2 });
  y = g.add("AveragePool", [y], { kernel_shape: [2, 2], strides: [2, 2] });
  y = g.add("Resize", [y, "", scales], { mode: "nearest" });
  g.output(g.add("Softmax", [g.add("Flatten", [y], { axis: 1 })], { axis: -1 }), "y");
  return writeModel(g.model());
}

function recurrent(): Uint8Array {
  const g = graph({ opset: 17 });
  const x = g.input("x", "float32", [3, 1, 4]);
  const weight = (name: string, shape: readonly number[]): string =>
    g.initializer(
      name,
      tensorFromStorage(
        "float32",
        shape,
        new Float32Array(shape.reduce((size, dim) => size * dim, 1)).fill(0.1),
      ),
    );
  const [y] = g.add(
    "LSTM",
    [x, weight("w", [1, 8, 4]), weight("r", [1, 8, 2])],
    { hidden_size: 2 },
    { outputs: 2 },
  );
  g.output(g.add("Squeeze", [y!]), "y");
  return writeModel(g.model());
}

export type SeedSet = "own" | "official";

export function seedsNamed(set: SeedSet): Seeds {
  return set === "own" ? ownSeeds() : officialSeeds();
}

/** Models of this repository, without anything from outside. */
export function ownSeeds(): Seeds {
  const small = [longLoopModel(), nonZeroModel(), rowMixingModel()].map(writeModel);
  const loading = Object.values(ATTACKS).filter(({ outcome }) => outcome === "loads");
  const files = [image(), recurrent(), ...small, ...loading.map(({ make }) => make())];
  return seedsFrom(files.filter(({ length }) => length <= LARGEST));
}

/** The official node tests: 1,765 models, an op each. Needs TENON_PYTHON. */
function officialSeeds(): Seeds {
  const files = modelsOf("node").map((path) => new Uint8Array(readFileSync(path)));
  return seedsFrom(files.filter(({ length }) => length <= LARGEST));
}
