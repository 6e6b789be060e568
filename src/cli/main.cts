#!/usr/bin/env node
/** The tenon command. CommonJS, because the loader of ES modules starts the thread pool, whose size is then fixed. */
const { availableParallelism } = process.getBuiltinModule("node:os");

/** One pool thread per lane: nothing but models runs in the pool of a server, so none waits there for another. */
function poolSize(): string {
  const at = process.argv.indexOf("--lanes");
  const asked = at >= 0 ? process.argv[at + 1] : process.env.TENON_LANES;
  return asked !== undefined && /^[1-9][0-9]{0,2}$/.test(asked) ? asked : String(availableParallelism());
}

process.env.UV_THREADPOOL_SIZE ??= poolSize();

// The reader of a pipe may leave early (`tenon env | head -1`); that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

import("./program.js").then(
  async ({ main }) => {
    process.exitCode = await main(process.argv.slice(2));
  },
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
