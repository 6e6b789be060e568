/** Servers of queues on a port of their own, with data that outlives a kill: Redis and PostgreSQL as Debian packs them. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "./free-port.js";

export type QueueKind = "redis" | "postgres";

export interface QueueServer extends AsyncDisposable {
  readonly url: string;
  /** Ends the server in the middle of whatever it does, and starts it again on the same data and port. */
  crash(): Promise<void>;
  /** Ends the server, cuts so many connections in its place, and starts it again. */
  refuse(connections: number): Promise<void>;
}

/** The server's program; undefined where it is not installed. */
function serverProgram(kind: QueueKind): string | undefined {
  if (kind === "redis") return ["/usr/bin/redis-server"].find((path) => existsSync(path));
  const root = "/usr/lib/postgresql";
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  return versions.map((version) => join(root, version, "bin/postgres")).find((path) => existsSync(path));
}

/** Why there is no such server to be started; undefined where there is one. */
export function missingServer(kind: QueueKind): string | undefined {
  return serverProgram(kind) === undefined ? `no ${kind} server is installed` : undefined;
}

/** Starts a server that listens on `address` alone. */
export async function startQueueServer(kind: QueueKind, address = "127.0.0.1"): Promise<QueueServer> {
  const folder = mkdtempSync(join(tmpdir(), `tenon-${kind}-`));
  const port = await freePort(address);
  const start = kind === "redis" ? redis(folder, address, port) : postgres(folder, address, port);
  let server = await start();
  return {
    url: kind === "redis" ? `redis://${address}:${port}` : `postgres://postgres@${address}:${port}/postgres`,
    async crash() {
      await end(server);
      server = await start();
    },
    async refuse(connections) {
      await end(server);
      await cut(address, port, connections);
      server = await start();
    },
    async [Symbol.asyncDispose]() {
      await end(server);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Listens until so many connections have come, each of which it cuts. */
async function cut(address: string, port: number, connections: number): Promise<void> {
  const server = createServer().listen(port, address);
  for (let i = 0; i < connections; i++) {
    const [socket] = (await once(server, "connection")) as [Socket];
    socket.destroy();
  }
  server.close();
  await once(server, "close");
}

async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const ended = once(server, "exit");
  server.kill("SIGKILL");
  await ended;
}

function redis(folder: string, address: string, port: number): () => Promise<ChildProcess> {
  const args = [
    "--port",
    String(port),
    "--bind",
    address,
    "--dir",
    folder,
    "--save",
    "",
    "--appendonly",
    "yes",
    // It listens on the test's own network alone.
    "--protected-mode",
    "no",
  ];
  return () => started(() => spawn(serverProgram("redis")!, args, { stdio: "ignore" }), address, port);
}

/** PostgreSQL does not run as root: then it runs as the user of the package. */
function postgres(folder: string, address: string, port: number): () => Promise<ChildProcess> {
  const program = serverProgram("postgres")!;
  const owner = process.getuid?.() === 0 ? { uid: numberOf("-u"), gid: numberOf("-g") } : {};
  if (owner.uid !== undefined && owner.gid !== undefined) chownSync(folder, owner.uid, owner.gid);
  chmodSync(folder, 0o700);
  const data = join(folder, "data");
  const initdb = program.replace(/postgres$/, "initdb");
  execFileSync(initdb, ["-D", data, "-A", "trust", "-U", "postgres", "-N", "--locale=C"], {
    ...owner,
    cwd: folder,
    stdio: "ignore",
  });
  const args = [
    "-D",
    data,
    "-p",
    String(port),
    "-c",
    `listen_addresses=${address}`,
    "-c",
    "unix_socket_directories=",
  ];
  // Hosts of a test reach the server over its address; the data is thrown away.
  execFileSync("tee", ["-a", join(data, "pg_hba.conf")], {
    input: "host all all 0.0.0.0/0 trust\n",
    stdio: ["pipe", "ignore", "ignore"],
  });
  return () => started(() => spawn(program, args, { ...owner, cwd: folder, stdio: "ignore" }), address, port);
}

function numberOf(what: "-u" | "-g"): number {
  return Number(execFileSync("id", [what, "postgres"], { encoding: "utf8" }));
}

/** The process once it takes connections; one that ends before is started anew, as after a crash it may have to wait. */
async function started(start: () => ChildProcess, address: string, port: number): Promise<ChildProcess> {
  let server = start();
  for (let i = 0; i < 600; i++) {
    if (server.exitCode !== null || server.signalCode !== null) server = start();
    if (await answers(address, port)) return server;
    await sleep(100);
  }
  server.kill("SIGKILL");
  throw new Error(`the server on port ${port} does not start`);
}

async function answers(address: string, port: number): Promise<boolean> {
  const socket = connect(port, address);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
