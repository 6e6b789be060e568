/** Answers in an encoding that the client accepts. */
import { deflate, gzip } from "node:zlib";
import { TenonError } from "../../base/index.js";
import { type BodyPart, type HeaderList, lengthOf } from "../http/open-exchange.js";
import type { Answer } from "./answer.js";

/** Bodies below this size are sent as they are. */
const WORTH_COMPRESSING = 1024;

/** The answer compressed as an `Accept-Encoding` header allows it; else the very answer. */
export function compressed(
  answer: Answer,
  acceptEncoding: string | string[] | undefined,
): Answer | Promise<Answer> {
  const encoding = acceptedEncoding(acceptEncoding);
  if (encoding === undefined || lengthOf(answer.parts) < WORTH_COMPRESSING) return answer;
  const bytes = Buffer.concat(
    answer.parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part)),
  );
  return new Promise((resolve, reject) => {
    (encoding === "gzip" ? gzip : deflate)(bytes, (error, result) => {
      if (error !== null) reject(new TenonError("INTERNAL", { cause: error }));
      const headers: HeaderList = [
        ...answer.headers,
        "Content-Encoding",
        encoding,
        "Vary",
        "Accept-Encoding",
      ];
      const parts: readonly BodyPart[] = [result];
      resolve({ headers, parts });
    });
  });
}

/** gzip or deflate, the first that the client names and does not refuse with `q=0`. */
function acceptedEncoding(header: string | string[] | undefined): "gzip" | "deflate" | undefined {
  for (const entry of String(header ?? "").split(",")) {
    const [name, ...parameters] = entry.split(";").map((part) => part.trim().toLowerCase());
    if ((name === "gzip" || name === "deflate") && !parameters.some((p) => /^q=0(\.0*)?$/.test(p)))
      return name;
  }
  return undefined;
}
