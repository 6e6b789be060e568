/** Exported programs as `torch.export.save` writes them, put together by hand: the archive, and one of a single sum. */
import { type Tensor, tensor } from "tenon/tensor";
import { storedZip } from "./archives.js";

/** An archive with the JSON of a program, and one file of weights that `payloads` lie in, by their names. */
export function programArchive(json: string, payloads: object, weight: Uint8Array): Uint8Array {
  return storedZip([
    { name: "m/archive_format", data: Buffer.from("pt2") },
    { name: "m/archive_version", data: Buffer.from("0") },
    { name: "m/byteorder", data: Buffer.from("little") },
    { name: "m/models/model.json", data: Buffer.from(json) },
    {
      name: "m/data/weights/model_weights_config.json",
      data: Buffer.from(JSON.stringify({ config: payloads })),
    },
    { name: "m/data/weights/weight_0", data: weight },
    { name: "m/data/constants/model_constants_config.json", data: Buffer.from('{"config":{}}') },
  ]);
}

const named = (name: string): object => ({ as_tensor: { name } });

/** float32 of these sizes: a number, or the name of a symbol. */
function metaOf(sizes: readonly (number | string)[]): object {
  return {
    dtype: 7,
    sizes: sizes.map((size) =>
      typeof size === "number" ? { as_int: size } : { as_expr: { expr_str: size, hint: { as_int: 2 } } },
    ),
    strides: sizes.map((_, axis) => ({ as_int: axis === sizes.length - 1 ? 1 : sizes.at(-1) })),
    requires_grad: false,
    device: { type: "cpu", index: null },
    storage_offset: { as_int: 0 },
    layout: 7,
  };
}

/** `y = x + lin.bias`, x and y [s77, size]. */
export function tinyProgram(
  bias: Tensor<"float32"> = tensor(Array.from({ length: 32 }, (_, i) => i)),
): Uint8Array {
  const size = bias.size;
  const rows = metaOf(["s77", size]);
  const program = {
    graph_module: {
      graph: {
        inputs: [named("b"), named("x")],
        outputs: [named("y")],
        nodes: [
          {
            target: "torch.ops.aten.add.Tensor",
            inputs: [
              { name: "self", arg: named("x"), kind: 1 },
              { name: "other", arg: named("b"), kind: 1 },
            ],
            outputs: [named("y")],
            metadata: {},
          },
        ],
        tensor_values: { b: metaOf([size]), x: rows, y: rows },
        sym_int_values: {},
        sym_bool_values: {},
      },
      signature: {
        input_specs: [
          { parameter: { arg: { name: "b" }, parameter_name: "lin.bias" } },
          { user_input: { arg: named("x") } },
        ],
        output_specs: [{ user_output: { arg: named("y") } }],
      },
      module_call_graph: [],
    },
    opset_version: { aten: 10 },
    range_constraints: { s77: { min_val: 1, max_val: null } },
    schema_version: { major: 8, minor: 20 },
    torch_version: "2.13.0",
  };
  const payload = { path_name: "weight_0", is_param: true, use_pickle: false, tensor_meta: metaOf([size]) };
  return programArchive(JSON.stringify(program), { "lin.bias": payload }, bias.bytes);
}
