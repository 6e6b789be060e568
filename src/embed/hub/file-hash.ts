/** The hash of a file, read piece by piece. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";

export async function fileHash(path: string, kind: "sha256" | "sha1", before = ""): Promise<string> {
  const sum = createHash(kind).update(before);
  for await (const part of createReadStream(path)) sum.update(part as Buffer);
  return sum.digest("hex");
}
