/** The shared PyTorch files: every reader finds the same tensors, and the hostile file runs nothing. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { suite, test } from "node:test";
import { isTenonError } from "tenon/base";
import { materialize, openWeights, type TensorRef } from "tenon/torch";

const shared = resolve(import.meta.dirname, "../../../../shared/torch");
const folders = ["torch2.6", "torch2.13"].flatMap((version) =>
  readdirSync(join(shared, version), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => `${version}/${name}`),
);

const bytesOf = (ref: TensorRef | undefined): Uint8Array => materialize(ref!).bytes;

test("there are files to read", () => assert.equal(folders.length, 18));

for (const folder of folders) {
  suite(folder, () => {
    const file = (name: string): string => join(shared, folder, name);
    const present = (name: string): boolean => existsSync(file(name));

    for (const name of ["state.pth", "state.legacy.pth"].filter(present)) {
      test(`${name} holds what state.safetensors holds`, async () => {
        const reference = await openWeights(file("state.safetensors"));
        const weights = await openWeights(file(name), { verify: true });
        for (const [key, ref] of reference.tensors) {
          const found = weights.tensors.get(key);
          assert.deepEqual([found?.dtype, found?.shape], [ref.dtype, ref.shape], key);
          assert.deepEqual(bytesOf(found), bytesOf(ref), key);
        }
        // A tied weight is in the checkpoint twice and in the safetensors file once.
        for (const [key, ref] of weights.tensors) {
          if (reference.tensors.has(key)) continue;
          const twin = [...weights.tensors.values()].find(
            (other) => other !== ref && other.storage === ref.storage,
          );
          assert.ok(twin !== undefined && reference.tensors.has(twin.name), key);
        }
        const inMemory = await openWeights(new Uint8Array(readFileSync(file(name))));
        assert.deepEqual([...inMemory.tensors.keys()], [...weights.tensors.keys()]);
        for (const [key, ref] of inMemory.tensors)
          assert.deepEqual(bytesOf(ref), bytesOf(weights.tensors.get(key)));
      });
    }

    if (present("checkpoint.pth")) {
      test("checkpoint.pth has nested names, small floats, a view, and its epoch", async () => {
        const reference = await openWeights(file("state.safetensors"));
        const { tensors, metadata } = await openWeights(file("checkpoint.pth"));
        for (const [key, ref] of reference.tensors)
          assert.deepEqual(bytesOf(tensors.get(`model.${key}`)), bytesOf(ref), key);
        assert.equal(metadata.get("epoch"), "3");
        assert.equal(metadata.get("opt.param_groups.0.lr"), "0.001");
        assert.equal(tensors.get("half")?.dtype, "float16");
        assert.equal(tensors.get("bf")?.dtype, "bfloat16");
        const view = tensors.get("view")!;
        assert.deepEqual(
          [view.shape, view.strides],
          [
            [3, 3],
            [1, 4],
          ],
        );
        assert.deepEqual(materialize(view).toArray(), [
          [1, 5, 9],
          [2, 6, 10],
          [3, 7, 11],
        ]);
      });

      for (const name of ["traced.pt", "scripted.pt"]) {
        test(`${name} gives its weights`, async () => {
          const reference = await openWeights(file("state.safetensors"));
          const { format, tensors } = await openWeights(file(name));
          assert.equal(format, "torchscript");
          assert.deepEqual([...tensors.keys()].sort(), [...reference.tensors.keys()].sort());
          for (const [key, ref] of reference.tensors)
            assert.deepEqual(bytesOf(tensors.get(key)), bytesOf(ref), key);
        });
      }
    }
  });
}

for (const name of readdirSync(join(shared, "evil"))) {
  test(`evil/${name} is refused`, async () => {
    await assert.rejects(
      openWeights(join(shared, "evil", name)),
      (error) => isTenonError(error, "FILE_INVALID") && /posix\.system/.test(error.message),
    );
    const inert = await openWeights(join(shared, "evil", name), { unknown: "placeholder" });
    assert.deepEqual([...inert.tensors.keys()], ["w"]);
  });
}
