/** The shared exported programs: both containers give one structure, and every graph decodes whole. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { suite, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { isTenonError } from "tenon/base";
import {
  type Argument,
  decodeProgram,
  type ExportedProgram,
  materialize,
  openWeights,
  type ProgramGraph,
  readProgram,
} from "tenon/torch";

const shared = resolve(import.meta.dirname, "../../../../shared/torch");
const models = readdirSync(join(shared, "torch2.13"), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

/** Every name that a graph speaks of is made by an input or by an earlier node, and every tensor has metadata. */
function checkGraph(graph: ProgramGraph): void {
  const known = new Set<string>();
  const namesOf = (arg: Argument): string[] => {
    if (arg.kind === "tensor") return [arg.name];
    if (arg.kind === "tensors") return [...arg.names];
    if (arg.kind === "symInt" && typeof arg.value === "object") return [arg.value.name];
    if (arg.kind === "symInts")
      return arg.values.flatMap((item) => (typeof item === "object" ? [item.name] : []));
    if (arg.kind === "graph") checkGraph(arg.graph);
    return [];
  };
  for (const input of graph.inputs) for (const name of namesOf(input)) known.add(name);
  for (const node of graph.nodes) {
    for (const { arg } of node.inputs) for (const name of namesOf(arg)) assert.ok(known.has(name), name);
    for (const output of node.outputs) {
      for (const name of namesOf(output)) known.add(name);
      if (output.kind === "tensor")
        assert.equal(graph.tensors.get(output.name)?.layout, "strided", output.name);
    }
  }
  for (const output of graph.outputs) for (const name of namesOf(output)) assert.ok(known.has(name), name);
}

const targets = (program: ExportedProgram): string[] =>
  program.graph.nodes.map(({ target }) => target).sort();

for (const model of models) {
  suite(model, () => {
    const file = (version: string, name: string): string => join(shared, version, model, name);

    for (const version of ["torch2.6", "torch2.13"]) {
      test(`${version}: graph, signature and weights`, async () => {
        const program = await readProgram(file(version, "model.pt2"), { verify: true });
        assert.ok(program.torchVersion.startsWith(version.slice("torch".length)));
        assert.equal(program.schema.major, 8);
        checkGraph(program.graph);
        const state = await openWeights(file(version, "state.pth"));
        for (const [name, ref] of state.tensors)
          assert.deepEqual(materialize(program.weights.get(name)!).bytes, materialize(ref).bytes, name);
        const weights = await openWeights(file(version, "model.pt2"));
        assert.equal(weights.format, "exported-program");
        assert.deepEqual([...weights.tensors.keys()], [...program.weights.keys()]);
        const inMemory = await readProgram(new Uint8Array(readFileSync(file(version, "model.pt2"))));
        assert.deepEqual(targets(inMemory), targets(program));
        assert.ok(program.graph.nodes.every(({ module }) => /^[\w.]*$/.test(module)));
      });
    }

    test("both versions of PyTorch name the same modules", async () => {
      const [older, newer] = await Promise.all(
        ["torch2.6", "torch2.13"].map((v) => readProgram(file(v, "model.pt2"))),
      );
      const modules = (program: ExportedProgram): Set<string> =>
        new Set(program.graph.nodes.map(({ module }) => module));
      const names = modules(newer!);
      const outer = [...modules(older!)].filter((name) => ![...names].some((path) => path.startsWith(name)));
      assert.deepEqual(outer, []);
    });
  });
}

const graphs = readdirSync(join(shared, "graph")).filter((name) => name.endsWith(".graph.json.gz"));

test("the graphs of real architectures decode", () => {
  assert.equal(graphs.length, 44);
  for (const name of graphs) {
    const program = decodeProgram(gunzipSync(readFileSync(join(shared, "graph", name))), name);
    checkGraph(program.graph);
  }
});

for (const [name, message] of [
  ["scripted.pt", /TorchScript/],
  ["traced.pt", /TorchScript/],
  ["state.pth", /weights only/],
  ["state.legacy.pth", /weights only/],
  ["state.safetensors", /weights only/],
] as const) {
  test(`${name} has no graph, and the error says how to get one`, async () => {
    await assert.rejects(
      readProgram(join(shared, "torch2.13/mlp", name)),
      (error) =>
        isTenonError(error, "MODEL_UNSUPPORTED") &&
        message.test(error.message) &&
        /torch\.export\.save/.test(error.message),
    );
  });
}
