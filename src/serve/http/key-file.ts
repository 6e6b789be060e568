/** The file of API keys: one line per key, `NAME sha256:<64 hex digits> [rate=N/s]`, `#` comments. */
import { TenonError } from "../../base/index.js";

/** One key, of which only the hash is known. */
export interface KeyLine {
  readonly name: string;
  /** SHA-256 of the key's UTF-8 bytes. */
  readonly hash: Buffer;
  /** Requests per second; undefined: no rate limit. */
  readonly rate: number | undefined;
}

const LINE =
  /^([A-Za-z0-9._-]{1,64})\s+sha256:([0-9a-fA-F]{64})(?:\s+rate=([0-9]{1,7}(?:\.[0-9]{1,3})?)\/s)?$/;

/** Reads the text of a key file. Throws CONFIG_INVALID that names the line, never its text. */
export function parseKeyFile(text: string): readonly KeyLine[] {
  const keys: KeyLine[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const content = line.replace(/(^|\s)#.*$/, "").trim();
    if (content === "") continue;
    const [, name, hex, rate] = LINE.exec(content) ?? [];
    if (name === undefined || hex === undefined) throw bad(index, "no key line");
    const hash = Buffer.from(hex, "hex");
    if (keys.some((key) => key.name === name)) throw bad(index, "a name that an earlier line has");
    if (keys.some((key) => key.hash.equals(hash))) throw bad(index, "a hash that an earlier line has");
    const perSecond = rate === undefined ? undefined : Number(rate);
    if (perSecond === 0) throw bad(index, "a rate of 0");
    keys.push({ name, hash, rate: perSecond });
  }
  return keys;
}

function bad(index: number, problem: string): TenonError {
  return new TenonError("CONFIG_INVALID", {
    problem: `line ${index + 1} of the key file holds ${problem}`,
    expected: "NAME sha256:<64 hex digits> [rate=N/s]",
  });
}
