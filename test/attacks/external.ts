/** Models whose weights lie where they must not: each made in a folder of its own, with what it points at beside it. */
import { execFileSync } from "node:child_process";
import { linkSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { FindingCode } from "tenon/onnx";
import { FLOAT, modelProto, node, tensorProto, value } from "./wire.js";

/** y = x + w, w float32 [4] in another file. */
function outside(entries: Readonly<Record<string, string>>): Uint8Array {
  return modelProto({
    nodes: [node("Add", ["x", "w"], ["y"])],
    initializers: [tensorProto({ name: "w", dims: [4], dtype: FLOAT, external: entries })],
    inputs: [value("x", FLOAT, [4])],
    outputs: [value("y", FLOAT, [4])],
  });
}

/** What every folder holds: 16 bytes of data beside the model and 16 that lie outside of its folder. */
interface Ground {
  /** The model's folder. */
  readonly folder: string;
  /** A file outside of it. */
  readonly secret: string;
}

type Prepare = (ground: Ground) => Readonly<Record<string, string>>;

const at = (location: string, more: Readonly<Record<string, string>> = {}): Prepare => {
  return () => ({ location, offset: "0", length: "16", ...more });
};

/** The entries of each model's external data, after its traps are laid. */
const TRAPS: Readonly<Record<string, Prepare>> = {
  "parent-folder": at("../secret.bin"),
  "parent-folders-to-passwd": at("../../../../../../../../etc/passwd"),
  "absolute-path": ({ secret }) => ({ location: secret, length: "16" }),
  "link-to-a-file-outside": ({ folder, secret }) => {
    symlinkSync(secret, join(folder, "link.bin"));
    return { location: "link.bin", length: "16" };
  },
  "link-to-a-folder-outside": ({ folder }) => {
    symlinkSync(join(folder, ".."), join(folder, "up"));
    return { location: "up/secret.bin", length: "16" };
  },
  "hard-link": ({ folder, secret }) => {
    linkSync(secret, join(folder, "hard.bin"));
    return { location: "hard.bin", length: "16" };
  },
  "device-file": at("/dev/zero"),
  "link-to-a-device": ({ folder }) => {
    symlinkSync("/dev/zero", join(folder, "zero.bin"));
    return { location: "zero.bin", length: "16" };
  },
  fifo: ({ folder }) => {
    execFileSync("mkfifo", [join(folder, "fifo.bin")]);
    return { location: "fifo.bin", length: "16" };
  },
  "memory-address": at("*/_ORT_MEM_ADDR_/*"),
  "offset-huge": at("data.bin", { offset: "9223372036854775807" }),
  "offset-negative": at("data.bin", { offset: "-16" }),
  "offset-behind-the-end": at("data.bin", { offset: "8" }),
  "length-huge": at("data.bin", { length: "9223372036854775807" }),
  "length-short": at("data.bin", { length: "8" }),
  "nul-in-the-name": at("data.bin\0.evil"),
  backslash: at("..\\secret.bin"),
  "empty-name": at(""),
  missing: at("absent.bin"),
  "unknown-key": at("data.bin", { basepath: "/" }),
};

/** What each is refused with. */
export const EXTERNAL_ATTACKS: ReadonlyMap<string, FindingCode> = new Map(
  // Fewer bytes than the dims say are a defect of the tensor, wherever it lies.
  Object.keys(TRAPS).map((name) => [name, name === "length-short" ? "FILE_FORMAT" : "EXTERNAL_DATA"]),
);

/** Makes the model in a new folder of `root` and tells its path. */
export function makeExternal(name: string, root: string): string {
  const ground = { folder: join(root, name, "model"), secret: join(root, name, "secret.bin") };
  mkdirSync(ground.folder, { recursive: true });
  writeFileSync(ground.secret, new Uint8Array(16));
  writeFileSync(join(ground.folder, "data.bin"), new Uint8Array(16));
  const path = join(ground.folder, `${name}.onnx`);
  writeFileSync(path, outside(TRAPS[name]!(ground)));
  return path;
}

/** The same model with its data where it should be, for comparison. */
export function makeHonest(root: string): string {
  mkdirSync(join(root, "honest"), { recursive: true });
  writeFileSync(join(root, "honest/data.bin"), new Uint8Array(16));
  const path = join(root, "honest/honest.onnx");
  writeFileSync(path, outside({ location: "data.bin", offset: "0", length: "16" }));
  return path;
}
