/** What tells builds of this code apart, for what is kept on disk. */
import { readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

let stamp: string | undefined;

/** The package's version, and when this file was written, which tells builds of one version apart. */
export function codeStamp(): string {
  if (stamp === undefined) {
    const manifest = new URL("../../package.json", import.meta.url);
    const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { readonly version: string };
    stamp = `${version} ${statSync(fileURLToPath(import.meta.url)).mtimeMs}`;
  }
  return stamp;
}
