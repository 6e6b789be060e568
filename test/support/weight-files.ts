/** Small files of PyTorch's formats, right ones and such that lie. */
import assert from "node:assert/strict";
import { isTenonError } from "tenon/base";
import { materialize, openWeights, type Weights } from "tenon/torch";
import { op, pickle, pickledTensor } from "./archives.js";
import { programArchive } from "./tiny-program.js";

const floats = (...values: readonly number[]): Uint8Array => new Uint8Array(new Float32Array(values).buffer);
export const storage = floats(1, 2, 3, 4, 5, 6);
export const plain = pickledTensor({ count: 6, shape: [2, 3], strides: [3, 1] });

export async function refused(file: Uint8Array, message: RegExp): Promise<void> {
  await assert.rejects(openWeights(file), (error) => {
    assert.ok(isTenonError(error), String(error));
    assert.match(error.message, message);
    return true;
  });
}

export const valuesOf = ({ tensors }: Weights): unknown =>
  Object.fromEntries([...tensors].map(([name, ref]) => [name, materialize(ref).toArray()]));

export const LEGACY_MAGIC = Buffer.from([
  0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e,
]);

export function legacy(
  root: Buffer,
  keys: readonly string[],
  tail: readonly Uint8Array[],
  littleEndian = true,
): Uint8Array {
  const info = op.dict({ little_endian: Buffer.of(littleEndian ? 0x88 : 0x89) });
  const list = Buffer.concat([op.emptyList, op.mark, ...keys.map(op.text), Buffer.from("e")]);
  const pickles = [pickle(op.int(1001)), pickle(info), pickle(root), pickle(list)];
  return new Uint8Array(Buffer.concat([LEGACY_MAGIC, ...pickles, ...tail]));
}

export function counted(data: Uint8Array, count = data.length / 4): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(count));
  return Buffer.concat([length, data]);
}

export const legacyTensor = pickledTensor({ count: 6, shape: [2, 3], strides: [3, 1], legacy: true });

/** The least program: one input, one weight, one node. */
export const meta = {
  dtype: 7,
  sizes: [{ as_int: 2 }, { as_int: 3 }],
  strides: [{ as_int: 3 }, { as_int: 1 }],
};
export const rest = {
  requires_grad: false,
  device: { type: "cpu", index: null },
  storage_offset: { as_int: 0 },
  layout: 7,
};
const tensor = (name: string): object => ({ as_tensor: { name } });
const program = {
  graph_module: {
    graph: {
      inputs: [tensor("w"), tensor("x")],
      outputs: [tensor("y")],
      nodes: [
        {
          target: "torch.ops.aten.add.Tensor",
          inputs: [
            { name: "self", arg: tensor("x"), kind: 1 },
            { name: "other", arg: tensor("w"), kind: 1 },
            { name: "alpha", arg: { as_float: "Infinity" }, kind: 2 },
          ],
          outputs: [tensor("y")],
          metadata: { stack_trace: "secret", nn_module_stack: "L__self__,,M;L__self___a,a.b,M" },
        },
      ],
      tensor_values: { w: { ...meta, ...rest }, x: { ...meta, ...rest }, y: { ...meta, ...rest } },
      sym_int_values: {},
      sym_bool_values: {},
    },
    signature: {
      input_specs: [
        { parameter: { arg: { name: "w" }, parameter_name: "lin.w" } },
        { user_input: { arg: tensor("x") } },
      ],
      output_specs: [{ user_output: { arg: tensor("y") } }],
    },
    module_call_graph: [],
  },
  opset_version: { aten: 10 },
  range_constraints: {},
  schema_version: { major: 8, minor: 20 },
  torch_version: "2.13.0",
};

export function pt2(
  json: string,
  config: object = { "lin.w": {} },
  weight: Uint8Array = storage,
): Uint8Array {
  const payload = {
    path_name: "weight_0",
    is_param: true,
    use_pickle: false,
    tensor_meta: { ...meta, ...rest },
  };
  const payloads = Object.fromEntries(
    Object.entries(config).map(([name, change]) => [name, { ...payload, ...change }]),
  );
  return programArchive(json, payloads, weight);
}

/** The program as text. */
export const programText = JSON.stringify(program);
