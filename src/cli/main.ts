#!/usr/bin/env node
/** The tenon command. */
import { main } from "./program.js";

// The reader of a pipe may leave early (`tenon env | head -1`); that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});
process.exitCode = await main(process.argv.slice(2));
