/** Addresses that are not of the public internet: a URL that leads there may be somebody else's way into a network. */
import { BlockList, isIP } from "node:net";

// biome-ignore format: a table is read by rows
const NETWORKS: readonly (readonly [address: string, prefix: number, family: "ipv4" | "ipv6"])[] = [
  ["0.0.0.0", 8, "ipv4"], ["10.0.0.0", 8, "ipv4"], ["100.64.0.0", 10, "ipv4"], ["127.0.0.0", 8, "ipv4"],
  ["169.254.0.0", 16, "ipv4"], ["172.16.0.0", 12, "ipv4"], ["192.0.0.0", 24, "ipv4"], ["192.168.0.0", 16, "ipv4"],
  ["198.18.0.0", 15, "ipv4"], ["224.0.0.0", 4, "ipv4"], ["240.0.0.0", 4, "ipv4"],
  ["::", 127, "ipv6"], ["64:ff9b::", 96, "ipv6"], ["2002::", 16, "ipv6"], ["fc00::", 7, "ipv6"],
  ["fe80::", 10, "ipv6"], ["fec0::", 10, "ipv6"], ["ff00::", 8, "ipv6"],
];

const list = new BlockList();
for (const [address, prefix, family] of NETWORKS) list.addSubnet(address, prefix, family);

/** True for loopback, private, link-local and reserved addresses, also where IPv6 wraps them. */
export function isPrivateAddress(address: string): boolean {
  const wrapped = /^::ffff:(.+)$/i.exec(address)?.[1];
  if (wrapped !== undefined) {
    if (isIP(wrapped) === 4) return list.check(wrapped, "ipv4");
    // The same in hexadecimal: `::ffff:7f00:1`.
    const [high, low] = wrapped.split(":").map((part) => Number.parseInt(part, 16));
    if (high === undefined || low === undefined || Number.isNaN(high + low)) return true;
    return list.check([high >> 8, high & 255, low >> 8, low & 255].join("."), "ipv4");
  }
  const family = isIP(address);
  return family === 0 || list.check(address, family === 4 ? "ipv4" : "ipv6");
}
