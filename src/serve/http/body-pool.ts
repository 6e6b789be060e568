/** BodyPool: memory of large request bodies, used again; fresh buffers of this size make V8 collect old space all the time. */

/** Smaller bodies are not worth it: they die young. */
const SMALLEST = 64 * 1024;

/** Idle memory that a pool keeps. */
const KEPT_BYTES = 64 * 1024 * 1024;

/** Hands out buffers of at least a size. What is not given back is left to the garbage collector. */
export class BodyPool {
  readonly #idle: ArrayBuffer[] = [];
  readonly #lent = new WeakSet<ArrayBufferLike>();
  #idleBytes = 0;

  /** Memory for `length` bytes; its content is undefined. */
  take(length: number): Buffer {
    if (length < SMALLEST) return Buffer.allocUnsafeSlow(length);
    const at = this.#idle.findIndex(({ byteLength }) => byteLength >= length && byteLength <= 2 * length);
    const buffer = at < 0 ? fresh(length) : this.#idle.splice(at, 1)[0]!;
    if (at >= 0) this.#idleBytes -= buffer.byteLength;
    this.#lent.add(buffer);
    return Buffer.from(buffer, 0, length);
  }

  /** Takes the memory behind `bytes` back, if it came from here. Nobody may read or write it any more. */
  give(bytes: Buffer): void {
    const { buffer } = bytes;
    if (!(buffer instanceof ArrayBuffer) || !this.#lent.delete(buffer)) return;
    if (buffer.byteLength === 0) return; // moved to another thread
    this.#idle.push(buffer);
    this.#idleBytes += buffer.byteLength;
    while (this.#idleBytes > KEPT_BYTES) this.#idleBytes -= this.#idle.shift()!.byteLength;
  }
}

/** Rounded up, so that bodies of nearly the same size share. */
function fresh(length: number): ArrayBuffer {
  const rounded = Math.ceil(length / SMALLEST) * SMALLEST;
  return Buffer.allocUnsafeSlow(rounded).buffer as ArrayBuffer; // its own memory, never shared
}
