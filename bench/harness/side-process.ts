/** The process of one side: makes the side that its arguments name, and measures it whenever the bench asks. */
import type { FromSide, Settings, Side, Sides, ToSide } from "./side.js";

const [moduleUrl, name, settings] = process.argv.slice(2);

function send(message: FromSide): void {
  process.send!(message);
}

function fail(error: unknown): void {
  const problem = error instanceof Error ? (error.stack ?? error.message) : String(error);
  if (process.connected) send({ kind: "failed", problem });
  else console.error(problem);
}

async function make(): Promise<Side> {
  const { sides } = (await import(moduleUrl!)) as { sides: Sides };
  const found = sides[name!];
  if (found === undefined) throw new Error(`${moduleUrl} has no side "${name}"`);
  return found(JSON.parse(settings!) as Settings);
}

async function measure(side: Side, given: Settings): Promise<void> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  const sample = await side.measure(given);
  const wallMs = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  send({ kind: "sample", sample: { wallMs, cpuMs: (user + system) / 1000, ...sample } });
}

try {
  const side = await make();
  process.on("message", (message: ToSide) => {
    if (message.kind === "measure") void measure(side, message.settings).catch(fail);
    else void side.close().then(() => process.disconnect(), fail);
  });
  send({ kind: "ready", facts: side.facts ?? {} });
} catch (error) {
  fail(error);
  process.exitCode = 1;
  if (process.connected) process.disconnect();
}
