/** What updates as ONNX nodes are written with. */

/** What adds nodes: a graph builder of `tenon/onnx`, say. */
export interface NodeWriter {
  /** Adds a node of one output; returns the output's name. */
  add(
    op: string,
    inputs: readonly string[],
    attrs?: Readonly<Record<string, number | readonly number[]>>,
  ): string;
}
