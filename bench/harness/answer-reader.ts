/** Reads the HTTP/1.1 answers on one connection, and no more of them than a load generator needs. */

const HEAD_END = Buffer.from("\r\n\r\n");

/** Calls `done` with each answer's status once its body has arrived; answers follow one another, never side by side. */
export class AnswerReader {
  #head: Buffer | undefined;
  #missing = -1;
  #status = 0;
  readonly #done: (status: number) => void;

  constructor(done: (status: number) => void) {
    this.#done = done;
  }

  take(chunk: Buffer): void {
    let body = chunk.length;
    if (this.#missing < 0) {
      const seen = this.#head === undefined ? chunk : Buffer.concat([this.#head, chunk]);
      const end = seen.indexOf(HEAD_END);
      if (end < 0) {
        this.#head = seen;
        return;
      }
      this.#head = undefined;
      const head = seen.toString("latin1", 0, end);
      const length = /\r\ncontent-length: *(\d+)/i.exec(head);
      if (length === null) throw new Error(`an answer without content-length:\n${head}`);
      this.#status = Number(head.slice(9, 12));
      this.#missing = Number(length[1]);
      body = seen.length - end - HEAD_END.length;
    }
    this.#missing -= body;
    if (this.#missing < 0) throw new Error("more bytes than content-length says");
    if (this.#missing > 0) return;
    this.#missing = -1;
    this.#done(this.#status);
  }
}
