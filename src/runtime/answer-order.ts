/** AnswerOrder: what runs side by side is answered in the order in which it began. */

interface Turn {
  conclude: (() => void) | undefined;
}

export class AnswerOrder {
  readonly #turns: Turn[] = [];

  /** Takes the next turn; the function that is given back answers when all turns before it have. */
  enter(): (conclude: () => void) => void {
    const turn: Turn = { conclude: undefined };
    this.#turns.push(turn);
    return (conclude) => {
      turn.conclude = conclude;
      while (this.#turns[0]?.conclude !== undefined) this.#turns.shift()!.conclude!();
    };
  }
}
