/** The frames of answers: outputs that the front writes, whole answers, and what the answers of a model begin with. */
import type { Tensor } from "../../tensor/index.js";
import { type BodyPart, type HeaderList, lengthOf } from "../http/open-exchange.js";
import type { AnswerOutput } from "../oip/answer.js";
import { answerWire, type ModelWire, type OutputWire } from "../oip/model-wire.js";
import {
  ALIGNMENT,
  FLAG,
  FRAME,
  type FrameHeader,
  type FrameWriter,
  HEADER_BYTES,
  JOINED_BYTES,
  LINE,
  padded,
  writeHeader,
} from "./frames.js";
import { Packer, textRoom, Unpacker } from "./packer.js";
import {
  fits,
  frameRoom,
  headRoom,
  largeParts,
  packed,
  packHead,
  unpackHead,
  unpackTensor,
} from "./tensor-part.js";

/** Outputs on their way to the front that writes them. */
export interface FramedOutputs {
  /** Number of the model's face, and its outputs: each is named by its place among them. */
  readonly face: number;
  readonly places: ReadonlyMap<string, number>;
  readonly outputs: readonly AnswerOutput[];
  readonly traced: string | undefined;
  /** The connection ends behind the answer. */
  readonly last: boolean;
}

/** Sends outputs. False when a frame cannot hold them. `taken` is called when nobody reads them any more. */
export function sendOutputs(
  writer: FrameWriter,
  number: number,
  { face, places, outputs, traced = "", last }: FramedOutputs,
  taken: () => void,
): boolean {
  const tensors = outputs.map(({ tensor }) => packed(tensor));
  if (!tensors.every(fits)) return false;
  let head = LINE + textRoom(traced);
  for (const tensor of tensors) head += 3 + headRoom(tensor);
  const { length, alignment } = frameRoom(head, tensors);
  const joined = alignment === ALIGNMENT;
  const place = joined ? writer.reserve(length) : { bytes: Buffer.allocUnsafeSlow(head + LINE), at: 0 };
  const packer = new Packer(place.bytes, place.at + HEADER_BYTES);
  packer.text(traced);
  outputs.forEach(({ wire, binary }, i) => {
    packer.short(places.get(wire.name)!);
    packer.byte(binary ? 1 : 0);
    packHead(packer, tensors[i]!);
  });
  packer.pad(place.at, alignment);
  const header: FrameHeader = {
    kind: FRAME.outputs,
    flags: (last ? FLAG.last : 0) | (joined ? 0 : FLAG.lines),
    extra: face,
    number,
    value: outputs.length,
  };
  if (joined) {
    for (const { bytes } of tensors) {
      place.bytes.set(bytes, packer.at);
      packer.at += bytes.length;
      packer.pad(place.at, ALIGNMENT);
    }
    writeHeader(place.bytes, place.at, packer.at - place.at, header);
    writer.commit(packer.at);
    taken();
    return true;
  }
  const parts = [place.bytes.subarray(0, packer.at), ...largeParts(tensors)];
  writeHeader(place.bytes, 0, lengthOf(parts), header);
  writer.large(parts, taken);
  return true;
}

export interface ReadOutputs {
  readonly outputs: readonly AnswerOutput[];
  readonly traced: string | undefined;
}

/** Reads outputs of a model with these pieces. Throws RangeError. */
export function readOutputs(header: FrameHeader, frame: Buffer, wire: ModelWire): ReadOutputs {
  const unpacker = new Unpacker(frame, HEADER_BYTES);
  const traced = unpacker.text();
  const heads = Array.from({ length: header.value }, () => {
    const output = wire.outputs[unpacker.short()];
    if (output === undefined) throw new RangeError("an output that the model does not have");
    const binary = unpacker.byte() === 1;
    return { output, binary, head: unpackHead(unpacker, Number.POSITIVE_INFINITY) };
  });
  const alignment = (header.flags & FLAG.lines) === 0 ? ALIGNMENT : LINE;
  unpacker.align(0, alignment);
  const outputs = heads.map(({ output, binary, head }): AnswerOutput => {
    const tensor: Tensor = unpackTensor(unpacker, head, alignment);
    return { wire: output, tensor, binary };
  });
  return { outputs, traced: traced === "" ? undefined : traced };
}

/** A whole answer; all of its headers are in it. */
export interface FramedAnswer {
  readonly status: number;
  readonly headers: HeaderList;
  readonly parts: readonly BodyPart[];
  readonly last: boolean;
}

/** Sends an answer; `taken` is called when nobody reads its parts any more. */
export function sendAnswer(
  writer: FrameWriter,
  number: number,
  { status, headers, parts, last }: FramedAnswer,
  taken: () => void,
): void {
  const list = JSON.stringify(headers);
  const bodyBytes = lengthOf(parts);
  const head = HEADER_BYTES + 8 + Buffer.byteLength(list);
  const length = padded(head + bodyBytes);
  const bytes = Buffer.allocUnsafeSlow(length);
  const packer = new Packer(bytes, HEADER_BYTES);
  packer.word(bodyBytes);
  packer.word(bytes.write(list, HEADER_BYTES + 8));
  writeHeader(bytes, 0, length, {
    kind: FRAME.answer,
    flags: last ? FLAG.last : 0,
    extra: status,
    number,
    value: 0,
  });
  let at = head;
  for (const part of parts) {
    if (typeof part === "string") at += bytes.write(part, at, "latin1");
    else {
      bytes.set(part, at);
      at += part.length;
    }
  }
  bytes.fill(0, at);
  if (length <= JOINED_BYTES) {
    const place = writer.reserve(length);
    place.bytes.set(bytes, place.at);
    writer.commit(place.at + length);
  } else writer.large([bytes], () => undefined);
  taken();
}

export function readAnswer(
  header: FrameHeader,
  frame: Buffer,
): { readonly status: number; readonly headers: HeaderList; readonly body: Buffer } {
  const unpacker = new Unpacker(frame, HEADER_BYTES);
  const bodyBytes = unpacker.word();
  const headers = JSON.parse(unpacker.take(unpacker.word()).toString()) as HeaderList; // the server wrote it
  return { status: header.extra, headers, body: unpacker.take(bodyBytes) };
}

/** What a front must know of a model to write its answers. */
export interface Face {
  readonly name: string;
  readonly version: string;
  readonly outputs: readonly Pick<OutputWire, "name" | "dtype">[];
}

export function sendFace(writer: FrameWriter, number: number, { name, version, outputs }: Face): void {
  const face: Face = {
    name,
    version,
    outputs: outputs.map((output) => ({ name: output.name, dtype: output.dtype })),
  };
  const text = Buffer.from(JSON.stringify(face));
  const length = padded(HEADER_BYTES + text.length);
  const bytes = Buffer.alloc(length);
  text.copy(bytes, HEADER_BYTES);
  writeHeader(bytes, 0, length, { kind: FRAME.face, flags: 0, extra: number, number: 0, value: text.length });
  if (length > JOINED_BYTES) {
    writer.large([bytes], () => undefined);
    return;
  }
  const place = writer.reserve(length);
  place.bytes.set(bytes, place.at);
  writer.commit(place.at + length);
}

export function readFace(header: FrameHeader, frame: Buffer): ModelWire {
  const text = new Unpacker(frame, HEADER_BYTES).take(header.value);
  return answerWire(JSON.parse(text.toString()) as Face); // the server wrote it
}

/** Sends a frame that is a header alone. */
export function sendHeader(writer: FrameWriter, header: FrameHeader): void {
  const { bytes, at } = writer.reserve(HEADER_BYTES);
  writeHeader(bytes, at, HEADER_BYTES, header);
  writer.commit(at + HEADER_BYTES);
}
