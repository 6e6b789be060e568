/** A port that nothing listens on, for programs that must be told theirs. */
import { once } from "node:events";
import { createServer } from "node:net";

export async function freePort(address = "127.0.0.1"): Promise<number> {
  const server = createServer().listen(0, address);
  await once(server, "listening");
  const { port } = server.address() as { port: number }; // listening on a port, not on a pipe
  server.close();
  await once(server, "close");
  return port;
}
