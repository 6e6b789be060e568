/** Self-signed certificates for `localhost`, written as DER (RFC 5280) with a fresh P-256 key. */
import { createSign, generateKeyPairSync, randomBytes } from "node:crypto";

export interface SelfSigned {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

const OID = {
  commonName: [0x55, 0x04, 0x03],
  subjectAltName: [0x55, 0x1d, 0x11],
  ecdsaWithSha256: [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
} as const;

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts);
const oid = (bytes: readonly number[]): Buffer => der(0x06, Buffer.from(bytes));
const text = (tag: number, value: string): Buffer => der(tag, Buffer.from(value, "latin1"));

/** Valid from a day ago for two days, for `localhost` and 127.0.0.1; `name` is the subject. */
export function selfSigned(name: string): SelfSigned {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const algorithm = sequence(oid(OID.ecdsaWithSha256));
  const subject = sequence(der(0x31, sequence(oid(OID.commonName), text(0x0c, name))));
  const day = (offset: number): Buffer => {
    const digits = new Date(Date.now() + offset * 86_400_000).toISOString().replaceAll(/[-:T]|\..*/g, "");
    return text(0x17, `${digits.slice(2)}Z`);
  };
  const names = sequence(text(0x82, "localhost"), der(0x87, Buffer.from([127, 0, 0, 1])));
  const extensions = der(0xa3, sequence(sequence(oid(OID.subjectAltName), der(0x04, names))));
  const serial = der(0x02, Buffer.from([1]), randomBytes(8));
  const toSign = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    serial,
    algorithm,
    subject,
    sequence(day(-1), day(1)),
    subject,
    publicKey.export({ type: "spki", format: "der" }),
    extensions,
  );
  const signature = createSign("sha256").update(toSign).sign(privateKey);
  const bytes = sequence(toSign, algorithm, der(0x03, Buffer.from([0]), signature));
  const lines = bytes.toString("base64").replaceAll(/.{64}(?=.)/g, "$&\n");
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }) as string, // PEM is text
  };
}
