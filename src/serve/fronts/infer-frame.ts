/** The frame of an infer request that a front has read: what the server needs of its headers and JSON, and its tensors. */
import type { IncomingHttpHeaders } from "node:http";
import type { Tensor } from "../../tensor/index.js";
import type { InferOutput } from "../oip/request.js";
import type { Parameters, ParameterValue } from "../oip/request-parameters.js";
import type { RunRequest } from "../oip/run.js";
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
import { Packer, TEXT_BYTES, textRoom, Unpacker } from "./packer.js";
import {
  fits,
  frameRoom,
  headRoom,
  largeParts,
  packed,
  packHead,
  type TensorHead,
  unpackHead,
  unpackTensor,
} from "./tensor-part.js";

/** A request as it travels. */
export interface FramedRequest extends RunRequest {
  readonly path: string;
  /** `x-request-id`, or what stands for it. */
  readonly id: string;
  readonly address: string;
  /** Those that the server may have to look at. */
  readonly headers: IncomingHttpHeaders;
  /** The `id` member of the body. */
  readonly bodyId: string | undefined;
  readonly bytesIn: number;
  /** Begun while the server drains. */
  readonly late: boolean;
  readonly inputs: Readonly<Record<string, Tensor>>;
}

/** What requests of one kind have in common: it is read once, and found again by its bytes. */
interface Common {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly parameters: Parameters;
  readonly outputs: readonly InferOutput[];
  readonly tensors: readonly (TensorHead & { readonly name: string })[];
}

/** Parameters, outputs and headers as JSON; undefined where there are none. */
interface Extra {
  readonly parameters: readonly (readonly [name: string, type: string, value: string])[];
  readonly outputs: readonly InferOutput[];
  readonly headers: IncomingHttpHeaders;
}

/**
 * Sends a request on its way. False when a frame of at most `limit` bytes cannot hold it: nothing was sent then. `taken`
 * is called when nobody reads the inputs any more.
 */
export function sendRequest(
  writer: FrameWriter,
  number: number,
  request: FramedRequest,
  limit: number,
  taken: () => void,
): boolean {
  const names = Object.keys(request.inputs);
  const tensors = names.map((name) => packed(request.inputs[name]!));
  const extra = extraText(request);
  const texts = [request.path, request.id, request.address, request.bodyId ?? "", ...names];
  if (
    texts.some((text) => 3 * text.length > TEXT_BYTES) ||
    !tensors.every(fits) ||
    extra.length > JOINED_BYTES
  )
    return false;
  let head = 32 + 3 * extra.length;
  for (const text of texts) head += textRoom(text);
  for (const tensor of tensors) head += headRoom(tensor);
  const { length, alignment } = frameRoom(head, tensors);
  if (length > limit || names.length > 65_535) return false;
  const joined = alignment === ALIGNMENT;
  const place = joined ? writer.reserve(length) : { bytes: Buffer.allocUnsafeSlow(head + LINE), at: 0 };
  const packer = new Packer(place.bytes, place.at + HEADER_BYTES + 4);
  packer.text(request.path);
  const jsonAt = packer.at;
  const jsonBytes = extra === "" ? 0 : place.bytes.write(extra, jsonAt + 4);
  packer.word(jsonBytes);
  packer.at += jsonBytes;
  packer.short(names.length);
  names.forEach((name, i) => {
    packer.text(name);
    packHead(packer, tensors[i]!);
  });
  place.bytes.writeUInt32LE(packer.at - place.at - HEADER_BYTES - 4, place.at + HEADER_BYTES);
  packer.text(request.id);
  packer.text(request.address);
  packer.byte(request.bodyId === undefined ? 0 : 1);
  packer.text(request.bodyId ?? "");
  packer.pad(place.at, alignment);
  const header: FrameHeader = {
    kind: FRAME.infer,
    flags: (joined ? 0 : FLAG.lines) | (request.late ? FLAG.late : 0),
    extra: 0,
    number,
    value: request.bytesIn,
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
  writeHeader(
    place.bytes,
    0,
    parts.reduce((sum, part) => sum + part.length, 0),
    header,
  );
  writer.large(parts, taken);
  return true;
}

/** What there is to tell of a request that never came whole. */
export type GoneRequest = Pick<FramedRequest, "path" | "id" | "address" | "headers" | "bytesIn">;

export function sendGone(writer: FrameWriter, request: GoneRequest): void {
  const text = JSON.stringify(request);
  const most = padded(HEADER_BYTES + 3 * text.length);
  if (most > JOINED_BYTES) return;
  const { bytes, at } = writer.reserve(most);
  const length = bytes.write(text, at + HEADER_BYTES);
  const end = at + padded(HEADER_BYTES + length);
  writeHeader(bytes, at, end - at, { kind: FRAME.gone, flags: 0, extra: 0, number: 0, value: length });
  writer.commit(end);
}

export function readGone(header: FrameHeader, frame: Buffer): FramedRequest {
  const text = new Unpacker(frame, HEADER_BYTES).take(header.value).toString();
  const request = JSON.parse(text) as GoneRequest; // checked below
  const { path, id, address, bytesIn, headers } = request;
  if (![path, id, address].every(isText) || typeof bytesIn !== "number" || !isRecord(headers))
    throw new RangeError("a frame of no request");
  return { ...request, bodyId: undefined, late: false, parameters: new Map(), outputs: [], inputs: {} };
}

function extraText({ parameters, outputs, headers }: FramedRequest): string {
  if (parameters.size === 0 && outputs.length === 0 && Object.keys(headers).length === 0) return "";
  const extra: Extra = {
    parameters: [...parameters].map(([name, value]) => [name, typeof value, String(value)]),
    outputs,
    headers,
  };
  return JSON.stringify(extra);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isOutput(value: unknown): boolean {
  if (!isRecord(value) || !isText(value.name)) return false;
  const { binary, classification } = value;
  return (
    (binary === undefined || typeof binary === "boolean") &&
    (classification === undefined || Number.isSafeInteger(classification))
  );
}

function checkedExtra(value: unknown): Extra {
  const { parameters, outputs, headers } = isRecord(value) ? value : {};
  const fits =
    Array.isArray(parameters) &&
    parameters.every((one) => Array.isArray(one) && one.length === 3 && one.every(isText)) &&
    Array.isArray(outputs) &&
    outputs.every(isOutput) &&
    isRecord(headers) &&
    Object.values(headers).every((one) => isText(one) || (Array.isArray(one) && one.every(isText)));
  if (!fits) throw new RangeError("a frame of no request");
  return value as Extra; // its parts were looked at
}

const VALUES: Readonly<Record<string, (text: string) => ParameterValue>> = {
  string: (text) => text,
  number: Number,
  boolean: (text) => text === "true",
  bigint: BigInt,
};

/** Kinds of requests that are remembered; beyond that all are forgotten. */
const REMEMBERED = 1024;
/** Longest common part that is remembered. */
const REMEMBERED_BYTES = 1024;

/** Reads the requests of one front. */
export class RequestReader {
  readonly #known = new Map<string, Common>();
  readonly #mostElements: number;

  constructor(mostElements: number) {
    this.#mostElements = mostElements;
  }

  /** Throws RangeError for what is no request. Tensors are views on the frame where their dtype allows that. */
  read(header: FrameHeader, frame: Buffer): FramedRequest {
    const unpacker = new Unpacker(frame, HEADER_BYTES);
    const length = unpacker.word();
    const from = unpacker.at;
    const common = this.#common(unpacker.take(length));
    const id = unpacker.text();
    const address = unpacker.text();
    const hasBodyId = unpacker.byte() === 1;
    const text = unpacker.text();
    const alignment = (header.flags & FLAG.lines) === 0 ? ALIGNMENT : LINE;
    if (from + length > frame.length) throw new RangeError("a frame ends too early");
    unpacker.align(0, alignment);
    // Without a prototype: inputs may be called anything.
    const inputs: Record<string, Tensor> = Object.create(null);
    for (const head of common.tensors) inputs[head.name] = unpackTensor(unpacker, head, alignment);
    const { path, headers, parameters, outputs } = common;
    const bodyId = hasBodyId ? text : undefined;
    const late = (header.flags & FLAG.late) !== 0;
    return { path, id, address, headers, bodyId, bytesIn: header.value, late, parameters, outputs, inputs };
  }

  #common(bytes: Buffer): Common {
    if (bytes.length > REMEMBERED_BYTES) return readCommon(bytes, this.#mostElements);
    const key = bytes.toString("latin1");
    let common = this.#known.get(key);
    if (common === undefined) {
      common = readCommon(bytes, this.#mostElements);
      if (this.#known.size >= REMEMBERED) this.#known.clear();
      this.#known.set(key, common);
    }
    return common;
  }
}

function readCommon(bytes: Buffer, mostElements: number): Common {
  const unpacker = new Unpacker(bytes, 0);
  const path = unpacker.text();
  const json = unpacker.take(unpacker.word());
  const extra = json.length === 0 ? undefined : checkedExtra(JSON.parse(json.toString()));
  const tensors = Array.from({ length: unpacker.short() }, () => {
    const name = unpacker.text();
    return { name, ...unpackHead(unpacker, mostElements) };
  });
  return {
    path,
    headers: extra?.headers ?? {},
    parameters: new Map(
      extra?.parameters.map(([name, type, value]) => [name, VALUES[type]?.(value) ?? value] as const),
    ),
    outputs: extra?.outputs ?? [],
    tensors,
  };
}
