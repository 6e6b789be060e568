/** Recorded inputs and outputs of the official test cases: files of one TensorProto, SequenceProto or OptionalProto. */
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { readModel, readTensor, type ValueType } from "tenon/onnx";
import type { Tensor } from "tenon/tensor";

/** A tensor, a sequence, or an optional that is empty. */
export type CaseValue = Tensor | readonly CaseValue[] | null;

/** Field numbers of onnx.proto and onnx-data.proto. */
const MODEL = { irVersion: 1, graph: 7, opset: 8 } as const;
const GRAPH = { name: 2, initializer: 5 } as const;
const OPSET_VERSION = 2;
const SEQUENCE = { tensors: 3, sequences: 5, optionals: 7 } as const;
const OPTIONAL = { tensor: 3, sequence: 5 } as const;

/** The value in a file, which is of the type of the graph's input or output. */
export async function readCaseValue(bytes: Uint8Array, type: ValueType | undefined): Promise<CaseValue> {
  if (type?.kind === "optional") return readOptional(bytes, type.element ?? undefined);
  if (type?.kind === "sequence") return readSequence(bytes, type.element ?? undefined);
  return readTensorProto(bytes);
}

async function readSequence(bytes: Uint8Array, element: ValueType | undefined): Promise<CaseValue> {
  const items: CaseValue[] = [];
  for (const [field, payload] of fieldsOf(bytes)) {
    if (field === SEQUENCE.tensors) items.push(await readTensorProto(payload));
    else if (field === SEQUENCE.sequences || field === SEQUENCE.optionals) {
      items.push(await readCaseValue(payload, element));
    }
  }
  return items;
}

async function readOptional(bytes: Uint8Array, element: ValueType | undefined): Promise<CaseValue> {
  for (const [field, payload] of fieldsOf(bytes)) {
    if (field === OPTIONAL.tensor) return readTensorProto(payload);
    if (field === OPTIONAL.sequence)
      return readSequence(payload, element?.kind === "sequence" ? (element.element ?? undefined) : undefined);
  }
  return null;
}

/** Fields of a message that hold bytes. */
function fieldsOf(bytes: Uint8Array): [number, Uint8Array][] {
  const reader = new BinaryReader(bytes);
  const fields: [number, Uint8Array][] = [];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (wireType === WireType.LengthDelimited) fields.push([field, reader.bytes()]);
    else reader.skip(wireType, field);
  }
  return fields;
}

/** The tensor goes through our reader of models: as the only initializer of one. */
async function readTensorProto(bytes: Uint8Array): Promise<Tensor> {
  const graph = new BinaryWriter();
  graph.tag(GRAPH.name, WireType.LengthDelimited).string("data");
  graph.tag(GRAPH.initializer, WireType.LengthDelimited).bytes(bytes);
  const opset = new BinaryWriter();
  opset.tag(OPSET_VERSION, WireType.Varint).int64(20);
  const model = new BinaryWriter();
  model.tag(MODEL.irVersion, WireType.Varint).int64(10);
  model.tag(MODEL.graph, WireType.LengthDelimited).bytes(graph.finish());
  model.tag(MODEL.opset, WireType.LengthDelimited).bytes(opset.finish());
  const { graph: read } = await readModel(model.finish());
  const [data] = read.initializers.values();
  if (data === undefined) throw new Error("the file holds no tensor");
  return readTensor(data);
}
