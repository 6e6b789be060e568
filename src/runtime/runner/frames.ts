/** Doorbell frames: eight bytes each on a socket that a model process inherits, some followed by a payload. */

/** Kinds of frames; `sequence` is the run's number, or the payload's length where one follows. */
export const FRAME = {
  hello: 1,
  load: 2,
  loaded: 3,
  submit: 4,
  done: 5,
  failed: 6,
  cancel: 7,
  unload: 8,
  /** Resident KiB of the process in `sequence`. */
  memory: 9,
  bigResult: 11,
} as const;

export interface Frame {
  readonly kind: number;
  readonly flags: number;
  /** Place of the region in use: its offset in units of 16 KiB. */
  readonly slot: number;
  readonly sequence: number;
}

/** Kinds that carry a payload, whose length stands in `sequence`. */
const WITH_PAYLOAD: ReadonlySet<number> = new Set([
  FRAME.hello,
  FRAME.load,
  FRAME.loaded,
  FRAME.failed,
  FRAME.unload,
  FRAME.bigResult,
]);

const FRAME_BYTES = 8;
const NOTHING = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeFrame(kind: number, slot: number, sequence: number, flags = 0): Uint8Array {
  const bytes = new Uint8Array(FRAME_BYTES);
  bytes[0] = kind;
  bytes[1] = flags;
  bytes[2] = slot & 255;
  bytes[3] = slot >> 8;
  bytes[4] = sequence & 255;
  bytes[5] = (sequence >>> 8) & 255;
  bytes[6] = (sequence >>> 16) & 255;
  bytes[7] = sequence >>> 24;
  return bytes;
}

/** A frame and its payload as JSON, in one piece. */
export function encodeJson(kind: number, slot: number, value: unknown): Uint8Array {
  const payload = encoder.encode(JSON.stringify(value));
  const bytes = new Uint8Array(FRAME_BYTES + payload.length);
  bytes.set(encodeFrame(kind, slot, payload.length));
  bytes.set(payload, FRAME_BYTES);
  return bytes;
}

/** JSON of a payload; undefined when it is none. */
export function decodeJson(payload: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(payload));
  } catch {
    return undefined;
  }
}

/** Cuts a stream into frames, however its chunks are split or joined. */
export class FrameReader {
  readonly #limit: number;
  readonly #take: (frame: Frame, payload: Uint8Array) => void;
  readonly #header = new Uint8Array(FRAME_BYTES);
  #have = 0;
  #frame: Frame | undefined;
  #payload = NOTHING;
  #filled = 0;

  /** `push` throws RangeError for a payload longer than `limit`: the writer cannot be trusted any more. */
  constructor(limit: number, take: (frame: Frame, payload: Uint8Array) => void) {
    this.#limit = limit;
    this.#take = take;
  }

  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#frame !== undefined) {
        const count = Math.min(chunk.length - at, this.#payload.length - this.#filled);
        this.#payload.set(chunk.subarray(at, at + count), this.#filled);
        this.#filled += count;
        at += count;
        if (this.#filled === this.#payload.length) this.#finish();
        continue;
      }
      while (at < chunk.length && this.#have < FRAME_BYTES) this.#header[this.#have++] = chunk[at++]!;
      if (this.#have === FRAME_BYTES) this.#begin();
    }
  }

  #begin(): void {
    const b = this.#header;
    this.#have = 0;
    const sequence = (b[4]! | (b[5]! << 8) | (b[6]! << 16) | (b[7]! << 24)) >>> 0;
    const frame = { kind: b[0]!, flags: b[1]!, slot: b[2]! | (b[3]! << 8), sequence };
    if (!WITH_PAYLOAD.has(frame.kind)) {
      this.#take(frame, NOTHING);
      return;
    }
    if (sequence > this.#limit) throw new RangeError(`a payload of ${sequence} bytes`);
    this.#frame = frame;
    this.#payload = new Uint8Array(sequence);
    this.#filled = 0;
    if (sequence === 0) this.#finish();
  }

  #finish(): void {
    const frame = this.#frame!;
    const payload = this.#payload;
    this.#frame = undefined;
    this.#payload = NOTHING;
    this.#take(frame, payload);
  }
}
