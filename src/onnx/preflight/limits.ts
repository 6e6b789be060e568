/** The bounds that preflight holds a model to. */

export const LIMITS = {
  /** Nodes of the graph, its subgraphs and its functions. */
  nodes: 100_000,
  /** Nodes after every function call is replaced by the function's body. */
  expandedNodes: 100_000,
  /** Calls in calls: each level takes a frame of ONNX Runtime's stack. */
  functionDepth: 200,
  /** Graphs in attributes in graphs. */
  subgraphDepth: 32,
  initializers: 100_000,
  /** Characters of one name. */
  nameLength: 65_536,
  /** Turns of a Loop, nested ones multiplied, that constants alone may ask for. */
  loopTurns: 1_000_000,
  /** Bytes of one value that constants alone may ask for. */
  outputBytes: 2 ** 30,
  /** Dimensions of one value. */
  rank: 255,
  /** Newest versions that the runtime (ONNX Runtime 1.30) takes. */
  opset: 26,
  irVersion: 13,
} as const;

/** Domains whose ops may be loaded. */
export const DOMAINS: ReadonlySet<string> = new Set(["", "ai.onnx.ml", "com.microsoft"]);

export const INT32_MIN = -(2 ** 31);
export const INT32_MAX = 2 ** 31 - 1;
