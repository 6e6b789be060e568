/** Runs the compiled tests of one group in this one process: a process per file costs ten times as much. */
import { existsSync, readdirSync } from "node:fs";
import { join, resolve, sep } from "node:path";
import { pathToFileURL } from "node:url";

const USAGE = `usage: test.js [--group NAME] [part of a file's name …]
groups: main (default), python (needs TENON_PYTHON), shared (reads ../shared beside the checkout),
servers (needs Redis and PostgreSQL of Debian), browser (needs Chromium of Debian), interop (needs TENON_INTEROP)`;

/** A group left open by a leaked handle would hang for good; this names what is open instead. */
const LIMIT_MS = 20 * 60_000;

const root = resolve(import.meta.dirname, "../..");
const shared = resolve(root, "../shared");

/** What queues of jobs run on, as Debian packs it. */
const SERVERS = [
  { name: "redis-server", found: () => existsSync("/usr/bin/redis-server") },
  { name: "postgresql", found: () => existsSync("/usr/lib/postgresql") },
] as const;

/** Groups with folders of their own; everything else is `main`. `missing` says why a group cannot run here. */
const GROUPS = {
  python: {
    folder: "build/test/python",
    missing: () =>
      process.env.TENON_PYTHON ? undefined : "TENON_PYTHON is not set; use npm run test:python",
  },
  servers: {
    folder: "build/test/servers",
    missing: () => {
      const lacks = SERVERS.filter(({ found }) => !found()).map(({ name }) => name);
      return lacks.length === 0 ? undefined : `not installed: ${lacks.join(", ")} (apt-get install)`;
    },
  },
  browser: {
    folder: "build/test/browser",
    missing: () =>
      existsSync("/usr/bin/chromium") ? undefined : "not installed: chromium (apt-get install)",
  },
  interop: {
    folder: "build/test/interop",
    missing: () =>
      process.env.TENON_INTEROP ? undefined : "TENON_INTEROP is not set; use npm run test:interop",
  },
  shared: {
    folder: "build/test/shared",
    missing: () => (existsSync(shared) ? undefined : "there is no folder ../shared beside the checkout"),
  },
} as const;

function testsIn(folder: string): string[] {
  const path = join(root, folder);
  if (!existsSync(path)) return [];
  return readdirSync(path, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".test.js"))
    .map((file) => join(path, file));
}

function filesOf(group: string): string[] {
  const owned = Object.values(GROUPS).map(({ folder }) => join(root, folder) + sep);
  if (group === "main") {
    return ["dist", "build"]
      .flatMap(testsIn)
      .filter((file) => !owned.some((folder) => file.startsWith(folder)));
  }
  return testsIn(GROUPS[group as keyof typeof GROUPS].folder);
}

const parts = process.argv.slice(2);
const group = parts[0] === "--group" ? (parts.splice(0, 2)[1] ?? "") : "main";
if (group !== "main" && !Object.hasOwn(GROUPS, group)) {
  console.error(USAGE);
  process.exit(2);
}

const reason = group === "main" ? undefined : GROUPS[group as keyof typeof GROUPS].missing();
if (reason !== undefined) {
  // An automated run must not lose a group in silence; programs of Debian are what a machine may lack.
  if (process.env.CI && group !== "servers" && group !== "browser") {
    console.error(`test group "${group}" cannot run: ${reason}`);
    process.exit(1);
  }
  console.log(`test group "${group}" is not run: ${reason}`);
} else {
  const files = filesOf(group)
    .filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
    .sort();
  if (files.length === 0) {
    console.error(`no compiled test of group "${group}" matches ${parts.join(" ") || "anything"}`);
    process.exitCode = 1;
  }
  setTimeout(() => {
    console.error(
      `tests still run after ${LIMIT_MS / 60_000} min; open: ${process.getActiveResourcesInfo()}`,
    );
    process.exit(1);
  }, LIMIT_MS).unref();
  for (const file of files) await import(pathToFileURL(file).href);
}
