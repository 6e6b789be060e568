/** Doorbell against real sockets: frames stay whole and in order. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Doorbell } from "./doorbell.js";

describe("Doorbell", { skip: process.platform === "win32" }, () => {
  it("keeps frames whole and in order past a full socket", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tenon-doorbell-"));
    const server = createServer({ pauseOnConnect: true });
    server.listen(join(folder, "s"));
    await once(server, "listening");
    const accepted = once(server, "connection");
    const socket = connect(join(folder, "s"));
    await once(socket, "connect");
    const [peer] = (await accepted) as [Socket];
    try {
      const doorbell = new Doorbell(socket);
      const count = 200_000; // more than a socket takes unread
      for (let i = 0; i < count; i++) doorbell.ring(new Uint8Array(new BigUint64Array([BigInt(i)]).buffer));
      assert.ok(socket.writableLength > 0, "the socket never filled");
      socket.end();
      const chunks: Buffer[] = [];
      for await (const chunk of peer) chunks.push(chunk as Buffer);
      const all = Buffer.concat(chunks);
      assert.equal(all.length, 8 * count);
      for (let i = 0; i < count; i++)
        if (all.readUInt32LE(8 * i) !== i) assert.fail(`frame ${i} is out of place`);
    } finally {
      socket.destroy();
      peer.destroy();
      server.close();
      rmSync(folder, { recursive: true });
    }
  });
});
