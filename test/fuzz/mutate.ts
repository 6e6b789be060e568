/** Mutations of ONNX files: fields, dims, attributes, op types, names and bytes; the same seed gives the same mutant. */
import { seededRandom } from "../support/random.js";
import {
  clone,
  cloneEntry,
  type Entry,
  encode,
  type Kind,
  type Message,
  messagesIn,
  parseModel,
} from "./tree.js";

export type Random = () => number;

/** Sound models to start from, and the words that are found in them. */
export interface Seeds {
  readonly models: readonly Message[];
  /** Op types and attribute names of all models. */
  readonly ops: readonly string[];
  readonly attributes: readonly string[];
}

const OP_TYPE = 4;

export function seedsFrom(files: readonly Uint8Array[]): Seeds {
  const models = files.map(parseModel);
  const words = (kind: Kind, field: number): string[] => {
    const found = new Set<string>();
    for (const message of models.flatMap((model) => messagesIn(model))) {
      if (message.kind !== kind) continue;
      const value = message.records.find((entry) => entry.field === field)?.value;
      if (value instanceof Uint8Array) found.add(Buffer.from(value).toString());
    }
    return [...found].sort();
  };
  return { models, ops: words("Node", OP_TYPE), attributes: words("Attribute", 1) };
}

/** A mutant: one to four changes of its structure, or one time in ten of its bytes. */
export function mutant(seeds: Seeds, random: Random): Buffer {
  const model = clone(pick(seeds.models, random));
  if (random() < 0.1) return damaged(encode(model), random);
  for (let changes = 1 + Math.floor(random() * 4); changes > 0; changes--) change(model, seeds, random);
  return encode(model);
}

/** Mutant number `index` of a run: it can be made again without those before it. */
export function mutantAt(seeds: Seeds, seed: number, index: number): Buffer {
  return mutant(seeds, seededRandom(Math.imul(seed, 0x9e3779b1) + Math.imul(index, 0x85ebca6b)));
}

function damaged(bytes: Buffer, random: Random): Buffer {
  for (let flips = 1 + Math.floor(random() * 4); flips > 0; flips--) {
    bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
  }
  const cut = random() < 0.2 ? Math.floor(random() * bytes.length) : bytes.length;
  return bytes.subarray(0, cut);
}

function change(model: Message, seeds: Seeds, random: Random): void {
  const messages = messagesIn(model).filter(({ records }) => records.length > 0);
  const message = pick(messages, random);
  const index = Math.floor(random() * message.records.length);
  const entry = message.records[index]!;
  const dice = random();
  if (dice < 0.08) message.records.splice(index, 1);
  else if (dice < 0.14) message.records.splice(index, 0, cloneEntry(entry));
  else if (dice < 0.2) swap(message.records, index, Math.floor(random() * message.records.length));
  else if (dice < 0.3) transplant(message, messages, random);
  else if (dice < 0.36) transplant(message, messagesIn(pick(seeds.models, random)), random);
  else if (dice < 0.39) entry.field = 1 + Math.floor(random() * 26);
  else changeValue(message, entry, model, seeds, random);
}

function swap(records: Entry[], a: number, b: number): void {
  [records[a], records[b]] = [records[b]!, records[a]!];
}

/** Adds a record of another message of the same kind. */
function transplant(message: Message, from: readonly Message[], random: Random): void {
  const donors = from.filter(({ kind, records }) => kind === message.kind && records.length > 0);
  if (donors.length === 0) return;
  const entry = cloneEntry(pick(pick(donors, random).records, random));
  message.records.splice(Math.floor(random() * (message.records.length + 1)), 0, entry);
}

function changeValue(message: Message, entry: Entry, model: Message, seeds: Seeds, random: Random): void {
  const { value } = entry;
  if (typeof value === "bigint") entry.value = otherInteger(value, random);
  else if (!(value instanceof Uint8Array)) change(value.records.length > 0 ? value : model, seeds, random);
  else if (entry.fixed !== undefined) entry.value = otherFloat(value.length, random);
  else if (message.kind === "Node" && entry.field === OP_TYPE) entry.value = text(pick(seeds.ops, random));
  else if (message.kind === "Attribute" && entry.field === 1) {
    entry.value = text(pick(seeds.attributes, random));
  } else if ((message.kind === "Node" && entry.field <= 2) || message.kind === "Value") {
    entry.value = otherName(model, random);
  } else entry.value = otherBytes(value, random);
}

const INTEGERS: readonly bigint[] = [
  0n,
  1n,
  2n,
  3n,
  4n,
  7n,
  8n,
  64n,
  127n,
  255n,
  1000n,
  65_536n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n,
  2n ** 62n,
  2n ** 63n - 1n,
  -1n,
  -2n,
  -8n,
  -(2n ** 31n),
  -(2n ** 63n),
];

function otherInteger(value: bigint, random: Random): bigint {
  const dice = random();
  if (dice < 0.5) return pick(INTEGERS, random);
  if (dice < 0.7) return value + 1n;
  if (dice < 0.9) return value - 1n;
  return value * 2n;
}

function otherFloat(length: number, random: Random): Buffer {
  const bytes = Buffer.alloc(length);
  const value = pick([0, -0, 1, -1, 0.5, 1e-30, 1e30, Number.NaN, Number.POSITIVE_INFINITY], random);
  if (length === 4) bytes.writeFloatLE(Math.fround(value));
  else bytes.writeDoubleLE(value);
  return bytes;
}

/** A name that the model already has, or none: what exporters get wrong. */
function otherName(model: Message, random: Random): Buffer {
  if (random() < 0.25) return Buffer.alloc(0);
  const nodes = messagesIn(model).filter(({ kind }) => kind === "Node" || kind === "Value");
  const names = nodes.flatMap(({ kind, records }) =>
    records.filter(({ field, value }) => field <= (kind === "Node" ? 2 : 1) && value instanceof Uint8Array),
  );
  return names.length === 0 ? Buffer.alloc(0) : Buffer.from(pick(names, random).value as Uint8Array);
}

function otherBytes(value: Uint8Array, random: Random): Buffer {
  const bytes = Buffer.from(value);
  const dice = random();
  if (dice < 0.2) return Buffer.alloc(0);
  if (dice < 0.35) return bytes.subarray(0, Math.floor(random() * bytes.length));
  if (dice < 0.5) return Buffer.concat([bytes, bytes]);
  if (dice < 0.6 && bytes.length >= 8) bytes.writeBigInt64LE(BigInt.asIntN(64, pick(INTEGERS, random)));
  else if (bytes.length > 0) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
  return bytes;
}

function text(value: string): Buffer {
  return Buffer.from(value);
}

function pick<T>(items: readonly T[], random: Random): T {
  return items[Math.floor(random() * items.length)]!;
}
