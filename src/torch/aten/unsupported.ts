/** Unsupported: why one node of a program has no ONNX form; collected over the whole program before it is thrown. */

export class Unsupported extends Error {
  override readonly name = "Unsupported";
}
