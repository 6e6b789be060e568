/** Best: the rows of the highest scores, of equal ones the first. */

/** Rows must be offered in rising order. Scores are float32 and no NaN. */
export class Best {
  readonly #most: number;
  /** A heap whose first entry is the worst that is kept. */
  readonly #scores: Float32Array;
  readonly #rows: Float64Array;
  #count = 0;

  constructor(most: number) {
    this.#most = most;
    this.#scores = new Float32Array(most);
    this.#rows = new Float64Array(most);
  }

  /** A row gets in only with a higher score than this. */
  get least(): number {
    return this.#count < this.#most ? Number.NEGATIVE_INFINITY : this.#scores[0]!;
  }

  offer(row: number, score: number): void {
    if (this.#count < this.#most) {
      this.#rise(this.#count++, row, score);
      return;
    }
    if (score > this.#scores[0]!) this.#sink(row, score);
  }

  /** Best first. */
  take(): { readonly row: number; readonly score: number }[] {
    const all = Array.from({ length: this.#count }, (_, i) => ({
      row: this.#rows[i]!,
      score: this.#scores[i]!,
    }));
    return all.sort((a, b) => b.score - a.score || a.row - b.row);
  }

  /** Whether the entry at `i` is worse than a row and its score. */
  #isWorse(i: number, row: number, score: number): boolean {
    const other = this.#scores[i]!;
    return other < score || (other === score && this.#rows[i]! > row);
  }

  #rise(from: number, row: number, score: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#isWorse(parent, row, score)) break;
      this.#scores[at] = this.#scores[parent]!;
      this.#rows[at] = this.#rows[parent]!;
      at = parent;
    }
    this.#scores[at] = score;
    this.#rows[at] = row;
  }

  #sink(row: number, score: number): void {
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#count) break;
      const right = child + 1;
      if (right < this.#count && this.#isWorse(right, this.#rows[child]!, this.#scores[child]!))
        child = right;
      if (!this.#isWorse(child, row, score)) break;
      this.#scores[at] = this.#scores[child]!;
      this.#rows[at] = this.#rows[child]!;
      at = child;
    }
    this.#scores[at] = score;
    this.#rows[at] = row;
  }
}
