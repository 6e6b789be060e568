/** Files that are recognised and refused: what each is, and how to get one that is read. */
import type { Archive } from "./archive.js";
import { unsupported } from "./invalid.js";

/** How a model becomes a file that has a graph. */
export const EXPORT_RECIPE = `export it once with Python:
  import torch
  program = torch.export.export(model.eval(), args)
  torch.export.save(program, "model.pt2")`;

const at = (head: Uint8Array, offset: number, text: string): boolean =>
  text.split("").every((char, i) => head[offset + i] === char.charCodeAt(0));

/** Other formats by their first 512 bytes. */
const FORMATS: readonly (readonly [(head: Uint8Array) => boolean, string, string])[] = [
  [(head) => at(head, 4, "ET"), "an ExecuTorch program holds compiled parts, not a graph", EXPORT_RECIPE],
  [
    (head) => at(head, 257, "ustar"),
    "a .tar checkpoint of PyTorch 0.1 is not read",
    "load it with the PyTorch that wrote it and save its state_dict again",
  ],
  [(head) => at(head, 0, "GGUF"), "a GGUF file is not read", "use the safetensors files of the model"],
  [(head) => at(head, 0, "\u0089HDF"), "an HDF5 file is not read", "save the weights as safetensors"],
  [
    (head) => head[0] === 0x80 && (head[1] ?? 9) <= 5,
    "a bare pickle is not read",
    "save the weights with torch.save(model.state_dict(), …) or as safetensors",
  ],
];

/** Throws MODEL_UNSUPPORTED for a format of the table. */
export function refuseKnown(head: Uint8Array): void {
  for (const [test, problem, remedy] of FORMATS) if (test(head)) throw unsupported(problem, { do: remedy });
}

/** Throws MODEL_UNSUPPORTED for an archive of compiled code. */
export function refuseCompiled(archive: Archive): void {
  for (const name of archive.names) {
    if (/(^|\/)data\/aotinductor\//.test(name))
      throw unsupported("this archive holds compiled code, not a graph (AOTInductor)", { do: EXPORT_RECIPE });
    if (/(^|\/)data\/executorch\//.test(name) || name.endsWith(".pte"))
      throw unsupported("this archive holds an ExecuTorch program, not a graph", { do: EXPORT_RECIPE });
  }
}
