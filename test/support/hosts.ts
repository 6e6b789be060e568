/** Three machines as far as the kernel can make them here: own network, host name and process numbers each. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";

export interface Hosts extends Disposable {
  /** "namespaces", or "processes" where the kernel does not let this user make any. */
  readonly kind: "namespaces" | "processes";
  /** Address at which every host reaches the servers of this process. */
  readonly address: string;
  /** Starts a program on host `index`; a kill of it ends all that runs there under it. */
  start(index: number, program: string, args: readonly string[], cwd: string): ChildProcess;
}

const ip = (...args: readonly string[]): string =>
  execFileSync("ip", args, { encoding: "utf8", stdio: "pipe" });

/** Makes `count` hosts on a bridge of their own. */
export function makeHosts(count: number): Hosts {
  const name = `tn${randomBytes(3).toString("hex")}`;
  // A network of documentation addresses (RFC 5737), known to this machine alone.
  const net = `198.51.100`;
  try {
    ip("link", "add", name, "type", "bridge");
    ip("addr", "add", `${net}.1/24`, "dev", name);
    ip("link", "set", name, "up");
    for (let i = 0; i < count; i++) {
      const [host, inside, outside] = [`${name}-${i}`, `${name}i${i}`, `${name}o${i}`];
      ip("netns", "add", host);
      ip("link", "add", outside, "type", "veth", "peer", "name", inside, "netns", host);
      ip("link", "set", outside, "master", name);
      ip("link", "set", outside, "up");
      ip("-n", host, "addr", "add", `${net}.${10 + i}/24`, "dev", inside);
      ip("-n", host, "link", "set", inside, "up");
      ip("-n", host, "link", "set", "lo", "up");
    }
  } catch {
    remove(name, count);
    return {
      kind: "processes",
      address: "127.0.0.1",
      start: (_, program, args, cwd) => spawn(program, args, { cwd, stdio: ["ignore", "ignore", "pipe"] }),
      [Symbol.dispose]: () => undefined,
    };
  }
  return {
    kind: "namespaces",
    address: `${net}.1`,
    start: (index, program, args, cwd) => {
      const host = `${name}-${index}`;
      // The first process of a process namespace takes all others with it.
      const around = [
        "netns",
        "exec",
        host,
        "unshare",
        "--uts",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
      ];
      const named = ["sh", "-c", 'hostname "$0" && exec "$@"', host, program, ...args];
      return spawn("ip", [...around, ...named], { cwd, stdio: ["ignore", "ignore", "pipe"] });
    },
    [Symbol.dispose]: () => remove(name, count),
  };
}

/** Also what was only half made. */
function remove(name: string, count: number): void {
  for (let i = 0; i < count; i++) attempt("netns", "del", `${name}-${i}`);
  attempt("link", "del", name);
}

function attempt(...args: readonly string[]): void {
  try {
    ip(...args);
  } catch {
    // was not there
  }
}
