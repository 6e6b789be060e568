/** Paths of the command line: files, names, folders, repositories with versions, and every refusal. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { discoverModels } from "./discover.js";

async function folderWith(context: TestContext, files: readonly string[]): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "tenon-discover-"));
  context.after(() => rm(root, { recursive: true }));
  for (const file of files) {
    await mkdir(dirname(join(root, file)), { recursive: true });
    await writeFile(join(root, file), "");
  }
  return root;
}

test("a file is named by its base name, or by NAME=", async (context) => {
  const root = await folderWith(context, ["net.onnx", "a=b.onnx", "odd name.onnx"]);
  const found = await discoverModels(["net.onnx", "other=net.onnx", "named=odd name.onnx"], { cwd: root });
  assert.deepEqual(
    found.models.map(({ name, version }) => [name, version]),
    [
      ["net", "1"],
      ["other", "1"],
      ["named", "1"],
    ],
  );
  // An existing path is a path, whatever it looks like; its name is then refused with the way out.
  await assert.rejects(discoverModels(["a=b.onnx"], { cwd: root }), /"a=b".*do: name it: NAME=/s);
  await assert.rejects(discoverModels(["odd name.onnx"], { cwd: root }), { code: "USAGE" });
});

test("a folder serves each of its model files", async (context) => {
  const root = await folderWith(context, [
    "m/b.onnx",
    "m/a.onnx",
    "m/readme.txt",
    "m/.hidden.onnx",
    "m/big.onnx/model.onnx",
  ]);
  const found = await discoverModels(["m"], { cwd: root });
  assert.deepEqual(
    found.models.map(({ name, path }) => [name, path.slice(root.length)]),
    [
      ["a", "/m/a.onnx"],
      ["b", "/m/b.onnx"],
      ["big", "/m/big.onnx/model.onnx"],
    ],
  );
});

test("a model's folder and a program keep their names when they are converted", async (context) => {
  const root = await folderWith(context, [
    "m/bert/config.json",
    "m/bert/model.safetensors",
    "m/net.pt2",
    "m/other.pt2",
  ]);
  const found = async (path: string): Promise<string[][]> =>
    (await discoverModels([path], { cwd: root })).models.map(({ name, path }) => [
      name,
      path.slice(root.length),
    ]);
  const before = [
    ["bert", "/m/bert"],
    ["net", "/m/net.pt2"],
    ["other", "/m/other.pt2"],
  ];
  assert.deepEqual(await found("m"), before);
  for (const file of ["bert/model.onnx", "net.onnx"]) await writeFile(join(root, "m", file), "");
  assert.deepEqual(await found("m"), before.with(1, ["net", "/m/net.onnx"]));
  assert.deepEqual(await found("m/bert"), [["bert", "/m/bert"]]);
});

test("a repository serves the newest version of each model and says what it leaves out", async (context) => {
  const root = await folderWith(context, [
    "repo/first/1/model.onnx",
    "repo/first/2/model.onnx",
    "repo/first/10/model.onnx/model.onnx",
    "repo/first/11/notes.txt",
    "repo/first/0/model.onnx",
    "repo/second/3/model.onnx",
    "repo/second/config.pbtxt",
    "repo/empty/readme.txt",
  ]);
  const found = await discoverModels(["repo"], { cwd: root });
  assert.deepEqual(
    found.models.map(({ name, version, path }) => [name, version, path.slice(root.length)]),
    [
      ["first", "10", "/repo/first/10/model.onnx/model.onnx"],
      ["second", "3", "/repo/second/3/model.onnx"],
    ],
  );
  assert.equal(found.warnings.length, 1);
  assert.match(found.warnings[0]!, /empty holds no/);
  assert.deepEqual(
    found.models.map(({ config }) => config?.slice(root.length)),
    [undefined, "/repo/second/config.pbtxt"],
  );
  assert.match((await discoverModels(["repo/second"], { cwd: root })).models[0]!.config!, /config\.pbtxt$/);
  // One model's folder is that model.
  assert.equal((await discoverModels(["repo/first"], { cwd: root })).models[0]!.version, "10");
});

test("what cannot be served is refused with the way out", async (context) => {
  const root = await folderWith(context, ["m/a.onnx", "m/b.onnx", "n/a.onnx", "none/x.txt", ".dot.onnx"]);
  const refused: [string[], string, RegExp][] = [
    [["absent.onnx"], "FILE_NOT_FOUND", /absent\.onnx/],
    [["none"], "FILE_NOT_FOUND", /holds no model/],
    [["m", "n"], "USAGE", /two models are named "a".*a-2=/],
    [["x=m"], "USAGE", /not to a folder/],
    [["bad/name=m/a.onnx"], "FILE_NOT_FOUND", /bad\/name/],
    [["ü=m/a.onnx"], "USAGE", /"ü"/],
    [[".dot.onnx"], "USAGE", /no leading dot/],
  ];
  for (const [paths, code, message] of refused) {
    await assert.rejects(discoverModels(paths, { cwd: root }), { code, message }, paths.join(" "));
  }
});
