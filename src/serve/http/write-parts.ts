/** The body of an answer, written as the parts that it is. */
import type { ServerResponse } from "node:http";
import type { BodyPart } from "./open-exchange.js";

/** Ends `res`, whose headers are set, with a body. Byte parts must not change until it has finished. */
export function endWithParts(res: ServerResponse, parts: readonly BodyPart[]): void {
  if (parts.length === 0) {
    res.end();
  } else if (parts.length === 1) {
    // A string of one byte per unit leaves together with the headers, in one write.
    res.end(parts[0], "latin1");
  } else {
    res.cork();
    for (const part of parts) res.write(part, "latin1");
    res.end();
    res.uncork();
  }
}
