/** Turns between keys: how long one key waits while another asks as much as it does, and ten times as much. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { firstLine, startCli } from "../support/cli.js";
import { slowModel } from "../support/served.js";

export interface TurnsRow {
  /** Clients of the other key at the same time. */
  readonly others: number;
  /** Milliseconds that the quiet key's one client waited for each of its answers. */
  readonly milliseconds: number[];
  /** Answers of the other key meanwhile. */
  answered: number;
}

const SIDE = 128;
const KEYS = ["quiet", "loud"] as const;

/** Even and uneven load in turn, `rounds` times for so many seconds each, on a server of its own with one lane. */
export async function turns(rounds: number, seconds: number): Promise<readonly TurnsRow[]> {
  const folder = mkdtempSync(join(tmpdir(), "tenon-turns-"));
  const hashOf = (key: string): string => createHash("sha256").update(key).digest("hex");
  writeFileSync(join(folder, "keys"), KEYS.map((key) => `${key} sha256:${hashOf(key)}\n`).join(""));
  writeFileSync(join(folder, "busy.onnx"), slowModel(20));
  const args = ["serve", "busy.onnx", "--json", "--api-key-file", "keys", "--lanes", "1"];
  const env = { TENON_CACHE: "off", TENON_HTTP_PORT: "0" };
  const child = startCli(args, { cwd: folder, env, timeout: 0 });
  try {
    const { url } = JSON.parse(await firstLine(child)) as { url: string };
    const rows = [1, 10].map((others): TurnsRow => ({ others, milliseconds: [], answered: 0 }));
    for (let round = 0; round < rounds; round++) {
      for (const row of rows) {
        const end = performance.now() + seconds * 1000;
        const loud = Array.from({ length: row.others }, async () => {
          while (performance.now() < end) {
            await ask(url, "loud");
            row.answered++;
          }
        });
        while (performance.now() < end) {
          const since = performance.now();
          await ask(url, "quiet");
          row.milliseconds.push(performance.now() - since);
        }
        await Promise.all(loud);
      }
    }
    child.kill("SIGTERM");
    await once(child, "close");
    return rows;
  } finally {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  }
}

const BODY = JSON.stringify({
  inputs: [
    { name: "x", datatype: "FP32", shape: [SIDE, SIDE], data: new Array<number>(SIDE * SIDE).fill(0) },
  ],
  parameters: { binary_data_output: true },
});

async function ask(url: string, key: (typeof KEYS)[number]): Promise<void> {
  const headers = { Authorization: `Bearer ${key}` };
  const answer = await fetch(`${url}/v2/models/busy/infer`, { method: "POST", body: BODY, headers });
  await answer.arrayBuffer();
  if (answer.status !== 200) throw new Error(`status ${answer.status}`);
}
