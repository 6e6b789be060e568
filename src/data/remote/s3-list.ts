/** The keys of a bucket: ListObjectsV2, page after page. */
import { TenonError } from "../../base/index.js";
import { Connection } from "./connection.js";
import type { RemoteOptions } from "./locate.js";
import { s3List } from "./s3.js";

/** A page has 1,000 keys of at most 1,024 bytes, percent-encoded. */
const PAGE_BYTES = 2 ** 24;

/** Keys that begin with `prefix`. Throws USAGE, FILE_NOT_FOUND, FILE_INVALID for answers that are no list. */
export async function* listKeys(
  bucket: string,
  prefix: string,
  { s3, privateHosts = [], timeoutMs }: RemoteOptions,
): AsyncGenerator<string, void> {
  for (let token: string | undefined; ; ) {
    const parameters = { prefix, ...(token === undefined ? {} : { "continuation-token": token }) };
    const connection = new Connection(s3List(bucket, parameters, s3, privateHosts), timeoutMs);
    let page: string;
    try {
      page = await connection.patiently(() => textOf(connection));
    } finally {
      await connection.close();
    }
    const { keys, next } = parsePage(page, `s3://${bucket}/`);
    yield* keys;
    if (next === undefined) return;
    token = next;
  }
}

async function textOf(connection: Connection): Promise<string> {
  const { body, status } = await connection.ask({});
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > PAGE_BYTES)
      throw connection.refused("FILE_INVALID", "a bucket's list is larger than one may be", status);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Keys of a page, and the token of the next one. */
export function parsePage(page: string, name: string): { keys: string[]; next: string | undefined } {
  if (!/<ListBucketResult[\s>]/.test(page))
    throw new TenonError("FILE_INVALID", { problem: "the answer is no list of a bucket", given: name });
  const encoded = /<EncodingType>url<\/EncodingType>/.test(page);
  const keys: string[] = [];
  for (const [, contents] of page.matchAll(/<Contents>(.*?)<\/Contents>/gs)) {
    const key = textIn(contents!, "Key");
    if (key === undefined)
      throw new TenonError("FILE_INVALID", {
        problem: "an object of a bucket's list has no key",
        given: name,
      });
    keys.push(encoded ? decodeURIComponent(key.replaceAll("+", " ")) : key);
  }
  const more = textIn(page, "IsTruncated") === "true";
  const next = more ? textIn(page, "NextContinuationToken") : undefined;
  if (more && next === undefined)
    throw new TenonError("FILE_INVALID", { problem: "a bucket's list ends in the middle", given: name });
  return { keys, next };
}

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function textIn(xml: string, element: string): string | undefined {
  const text = new RegExp(`<${element}>([^<]*)</${element}>`).exec(xml)?.[1];
  return text?.replace(/&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi, (whole, decimal, hex, named) => {
    if (named !== undefined) return ENTITIES[named as string] ?? whole;
    return String.fromCodePoint(decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal));
  });
}
