/** How many tokens of one text, or of each text of a pair, are kept within a budget. */
import { TenonError } from "../../base/index.js";

/** Tokens kept of the first and of the second text. Throws TEXT_TOO_LONG where the text to be cut is too short for it. */
export function truncatePair(
  first: number,
  second: number | undefined,
  room: number,
  which: "longest" | "first" | "second",
): readonly [first: number, second: number] {
  if (second === undefined) return [Math.min(first, room), 0];
  const over = first + second - room;
  if (over <= 0) return [first, second];
  if (which === "longest") {
    const shorter = Math.min(first, second);
    let short = shorter;
    let long = shorter > room ? shorter : Math.max(shorter, room - shorter);
    if (short + long > room) {
      short = Math.floor(room / 2);
      long = short + (room % 2);
    }
    return first > second ? [long, short] : [short, long];
  }
  const cut = which === "first" ? first : second;
  if (cut <= over) {
    throw new TenonError("TEXT_TOO_LONG", {
      problem: `the ${which} text of a pair is too short to be cut to the limit`,
      given: `${first} and ${second} tokens`,
      expected: `${room} together`,
    });
  }
  return which === "first" ? [first - over, second] : [first, second - over];
}
