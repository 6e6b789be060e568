/** `--input` texts: literals, texts and JSON files, exact 64-bit integers, and every refusal. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Signature } from "../runtime/index.js";
import { type DType, tensor, writeNpy, writeNpz } from "../tensor/index.js";
import { readInputs } from "./values.js";

const signature = (
  inputs: Record<string, DType>,
  dims: Signature["inputs"][number]["dims"] = ["n"],
): Signature => ({
  inputs: Object.entries(inputs).map(([name, dtype]) => ({ name, dtype, dims })),
  outputs: [],
});

const read = (spec: string, dtype: DType, dims?: Signature["inputs"][number]["dims"]) =>
  readInputs([spec], signature({ x: dtype }, dims), "/").then(({ x }) => x!);

test("literals take the model's dtype", async () => {
  assert.deepEqual((await read("[1, 2.5]", "float32")).toArray(), [1, 2.5]);
  assert.deepEqual((await read("x=[true,false]", "bool")).toArray(), [true, false]);
  assert.deepEqual((await read("[1,2]", "int8")).dtype, "int8");
  assert.deepEqual((await read("x=[[1],[2]]", "float64", ["n", 1])).shape, [2, 1]);
});

test("64-bit integers keep every digit", async () => {
  assert.deepEqual((await read("[9223372036854775807,-5]", "int64")).toArray(), [2n ** 63n - 1n, -5n]);
  assert.deepEqual((await read("18446744073709551615", "uint64")).toArray(), [2n ** 64n - 1n]);
  await assert.rejects(read("[1.5]", "int64"), { code: "INPUT_VALUE" });
  await assert.rejects(read('["1x"]', "int64"), { code: "INPUT_VALUE" });
});

test("a single value takes the rank of its input", async () => {
  assert.deepEqual((await read("3", "float32", ["n", 1])).shape, [1, 1]);
  assert.deepEqual((await read("3", "float32", [])).shape, []);
});

test("texts need no quotes where the model takes strings", async () => {
  assert.deepEqual((await read("x=hello world", "string")).toArray(), ["hello world"]);
  assert.deepEqual((await read("colour=red", "string")).toArray(), ["colour=red"]);
  assert.deepEqual((await read('["a","@b"]', "string")).toArray(), ["a", "@b"]);
});

test("files: one value, or several by name", async (context) => {
  const cwd = await mkdtemp(join(tmpdir(), "tenon-values-"));
  context.after(() => rm(cwd, { recursive: true }));
  await writeFile(join(cwd, "row.json"), "[1, 2]");
  await writeFile(join(cwd, "all.json"), '{ "ids": [9007199254740993], "mask": [true] }');
  await writeFile(join(cwd, "broken.json"), "[1,");
  await writeFile(join(cwd, "other.json"), '{ "idz": [1] }');
  const two = signature({ ids: "int64", mask: "bool" });
  assert.deepEqual((await readInputs(["ids=@row.json"], two, cwd)).ids!.toArray(), [1n, 2n]);
  const both = await readInputs(["@all.json"], two, cwd);
  assert.deepEqual(both.ids!.toArray(), [9007199254740993n]);
  assert.deepEqual(both.mask!.toArray(), [true]);
  await assert.rejects(readInputs(["ids=@broken.json"], two, cwd), { code: "FILE_INVALID" });
  await assert.rejects(readInputs(["ids=@absent.json"], two, cwd), { code: "FILE_NOT_FOUND" });
  await assert.rejects(readInputs(["@other.json"], two, cwd), /did you mean "ids"/);
  await assert.rejects(readInputs(["ids=@row.txt"], two, cwd), { code: "USAGE" });
});

test("npy and npz files keep their dtype", async (context) => {
  const cwd = await mkdtemp(join(tmpdir(), "tenon-values-"));
  context.after(() => rm(cwd, { recursive: true }));
  const ids = tensor([[1n, 2n]]);
  const mask = tensor([true]);
  await writeFile(join(cwd, "ids.npy"), writeNpy(ids));
  await writeFile(join(cwd, "ids.npz"), writeNpz({ ids }));
  await writeFile(join(cwd, "all.npz"), writeNpz({ ids, mask }));
  await writeFile(join(cwd, "broken.npy"), "no array");
  const two = signature({ ids: "int64", mask: "bool" });
  for (const specs of [["ids=@ids.npy"], ["ids=@ids.npz"], ["ids=@all.npz"], ["@ids.npz"]]) {
    const inputs = await readInputs(specs, two, cwd);
    assert.deepEqual(Object.keys(inputs), ["ids"], specs[0]);
    assert.deepEqual(inputs.ids!.toArray(), [[1n, 2n]]);
  }
  assert.deepEqual(Object.keys(await readInputs(["@all.npz"], two, cwd)), ["ids", "mask"]);
  assert.equal((await readInputs(["@ids.npz"], signature({ x: "int64" }), cwd)).x!.dtype, "int64");
  await assert.rejects(readInputs(["mask=@broken.npy"], two, cwd), { code: "FILE_INVALID" });
  await assert.rejects(readInputs(["x=@all.npz"], signature({ x: "int64" }), cwd), /no array "x"/);
});

test("wrong names and values are refused with what was expected", async () => {
  const two = signature({ ids: "int64", mask: "bool" });
  await assert.rejects(readInputs(["idz=[1]"], two, "/"), {
    code: "INPUT_UNKNOWN",
    message: /did you mean "ids"/,
  });
  await assert.rejects(readInputs(["[1]"], two, "/"), { code: "USAGE", message: /NAME=VALUE.*ids, mask/ });
  await assert.rejects(readInputs(["ids=[1]", "ids=[2]"], two, "/"), { code: "INPUT_DUPLICATE" });
  await assert.rejects(readInputs(["ids=1e"], two, "/"), { code: "INPUT_VALUE" });
  await assert.rejects(readInputs(["ids=null"], two, "/"), { code: "INPUT_VALUE" });
  await assert.rejects(readInputs(["ids=[[1],[1,2]]"], two, "/"), { code: "INPUT_VALUE", message: /ragged/ });
  await assert.rejects(read("[300]", "uint8"), { code: "INPUT_VALUE", message: /0 to 255/ });
});
