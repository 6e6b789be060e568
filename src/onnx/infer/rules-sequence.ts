/** Inference rules of sequences, optionals and control flow. */
import type { Dim, Graph, ValueType } from "../graph.js";
import { type Call, type Output, type Rule, type Shape, shaped } from "./call.js";
import { commonType } from "./merge.js";
import { dtypeOfCode } from "./rules-elementwise.js";

const sequence = (element: ValueType | null | undefined): ValueType => ({
  kind: "sequence",
  element: element ?? null,
});

function elementOf(type: ValueType | undefined): ValueType | undefined {
  return type?.kind === "sequence" || type?.kind === "optional" ? (type.element ?? undefined) : undefined;
}

/** What several types have in common; undefined when one is not known. */
function commonOf(types: readonly (ValueType | undefined)[]): ValueType | undefined {
  return types.reduce((common, type) =>
    common === undefined || type === undefined ? undefined : commonType(common, type),
  );
}

export const sequenceConstruct: Rule = (call) => [{ type: sequence(commonOf(call.inputs)) }];

export const sequenceEmpty: Rule = (call) => [
  { type: sequence({ kind: "tensor", dtype: dtypeOfCode(call.int("dtype", 1)) ?? null }) },
];

export const sequenceAt: Rule = (call) => [{ type: elementOf(call.inputs[0]) }];

export const sequenceInsert: Rule = (call) => [
  { type: sequence(commonOf([elementOf(call.inputs[0]), call.inputs[1]])) },
];

export const sequenceErase: Rule = (call) => [{ type: call.inputs[0] }];

/** SplitToSequence: pieces along the axis; without `split` each of size 1, then dropped unless `keepdims`. */
export const splitToSequence: Rule = (call) => {
  const x = call.shape(0);
  const dtype = call.dtype(0) ?? null;
  if (x === undefined) return [{ type: sequence({ kind: "tensor", dtype }) }];
  const axis = call.axis(call.int("axis", 0), x.length);
  const drops = !call.has(1) && call.int("keepdims", 1) === 0;
  const sizes = call.numbers(1);
  const isEven = sizes?.every((size) => size === sizes[0]) === true;
  const whole = x[axis];
  // A scalar `split` may leave a smaller last piece.
  const isExact = call.rank(1) === 1 || (typeof whole === "number" && whole % (sizes?.[0] ?? 0) === 0);
  const size: Dim = call.has(1) ? (isEven && isExact ? (sizes?.[0] ?? null) : null) : 1;
  const shape = drops ? x.filter((_, i) => i !== axis) : x.map((dim, i) => (i === axis ? size : dim));
  return [{ type: sequence({ kind: "tensor", dtype, shape }) }];
};

/** ConcatFromSequence: the sizes along the axis add up to something unknown. */
export const concatFromSequence: Rule = (call) => {
  const element = elementOf(call.inputs[0]);
  if (element?.kind !== "tensor" || element.shape === undefined) return [];
  const stacks = call.int("new_axis", 0) !== 0;
  const rank = element.shape.length + (stacks ? 1 : 0);
  const axis = call.axis(call.int("axis", 0), rank);
  const { shape } = element;
  return shaped(
    stacks
      ? [...shape.slice(0, axis), null, ...shape.slice(axis)]
      : shape.map((dim, i) => (i === axis ? null : dim)),
  );
};

export const optional: Rule = (call) => {
  const element = call.has(0) ? call.inputs[0] : call.attr("type", "type");
  return [{ type: { kind: "optional", element: element ?? null } }];
};

/** OptionalGetElement: the element, or the value itself when it is no optional. */
export const optionalGet: Rule = (call) => {
  const [type] = call.inputs;
  return [{ type: type?.kind === "optional" ? (type.element ?? undefined) : type }];
};

// ── control flow ───────────────────────────────────────────────────────────────────────────────

function body(call: Call, name: string): Graph | undefined {
  return call.attr(name, "graph");
}

/** If: what both branches agree on; a known condition leaves one branch. */
export const branch: Rule = (call) => {
  const [yes, no] = [body(call, "then_branch"), body(call, "else_branch")];
  if (yes === undefined || no === undefined) return [];
  const options = { tolerant: true };
  const [left, right] = [call.inferBody(yes, [], options), call.inferBody(no, [], options)];
  const condition = call.numbers(0)?.[0];
  return call.node.outputs.map((_, i): Output => {
    if (condition !== undefined) return { type: (condition === 0 ? right : left)[i] };
    return { type: commonOf([left[i], right[i]]) };
  });
};

/** Loop: carried values keep what holds before and after the body; scanned ones get an axis of unknown size. */
export const loop: Rule = (call) => {
  const graph = body(call, "body");
  if (graph === undefined) return [];
  const initial = call.inputs.slice(2);
  const counter: ValueType = { kind: "tensor", dtype: "int64", shape: [] };
  const condition: ValueType = { kind: "tensor", dtype: "bool", shape: [] };
  const { carried, results } = steady(initial, (types) =>
    call
      .inferBody(graph, [withShapeOf(graph, 0, counter), withShapeOf(graph, 1, condition), ...types])
      .slice(1),
  );
  return call.node.outputs.map((_, i): Output => {
    if (i < carried.length) return { type: carried[i] };
    const result = results[i];
    return {
      type:
        result?.kind === "tensor" ? withShape(result, result.shape && [null, ...result.shape]) : undefined,
    };
  });
};

/** Scalars of a loop may also be declared as one-element vectors. */
function withShapeOf(graph: Graph, index: number, scalar: ValueType): ValueType | undefined {
  const declared = graph.inputs[index]?.type;
  return declared?.kind === "tensor" && declared.shape?.length !== 0 ? undefined : scalar;
}

/** Types of loop-carried values that hold in every round. */
function steady(
  initial: readonly (ValueType | undefined)[],
  round: (types: readonly (ValueType | undefined)[]) => readonly (ValueType | undefined)[],
): { carried: (ValueType | undefined)[]; results: readonly (ValueType | undefined)[] } {
  let carried = [...initial];
  let results = round(carried);
  // Each round can only forget; what still changes after the second is forgotten whole.
  for (let left = 2; left >= 0; left--) {
    const next = carried.map((type, i) => commonOf([type, results[i]]));
    if (next.every((type, i) => sameType(type, carried[i]))) break;
    carried =
      left > 0
        ? next
        : next.map((type) => (type?.kind === "tensor" ? withShape(type, undefined) : undefined));
    results = round(carried);
  }
  return { carried, results };
}

function sameType(a: ValueType | undefined, b: ValueType | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function withShape(type: ValueType & { kind: "tensor" | "sparse" }, shape: Shape | undefined): ValueType {
  return shape === undefined
    ? { kind: type.kind, dtype: type.dtype }
    : { kind: type.kind, dtype: type.dtype, shape };
}

/** Scan: states as in Loop; scanned inputs lose their axis, scanned outputs get one of the same size. */
export const scan: Rule = (call) => {
  const graph = body(call, "body");
  // Scan 8 had a batch axis and sequence lengths.
  if (graph === undefined || call.since < 9) return [];
  const scanned = call.int("num_scan_inputs", 0);
  const states = call.inputs.length - scanned;
  const axesIn = call.ints("scan_input_axes") ?? [];
  const axesOut = call.ints("scan_output_axes") ?? [];
  let steps: Dim = null;
  const slices = call.inputs.slice(states).map((type, i) => {
    if (type?.kind !== "tensor" || type.shape === undefined) return type;
    const axis = call.axis(axesIn[i] ?? 0, type.shape.length);
    if (typeof steps !== "number") steps = type.shape[axis] ?? steps;
    return withShape(
      type,
      type.shape.filter((_, at) => at !== axis),
    );
  });
  const { carried, results } = steady(call.inputs.slice(0, states), (types) =>
    call.inferBody(graph, [...types, ...slices]),
  );
  return call.node.outputs.map((_, i): Output => {
    if (i < states) return { type: carried[i] };
    const result = results[i];
    if (result?.kind !== "tensor" || result.shape === undefined) return { type: result };
    const rank = result.shape.length + 1;
    const axis = call.axis(axesOut[i - states] ?? 0, rank);
    return { type: withShape(result, [...result.shape.slice(0, axis), steps, ...result.shape.slice(axis)]) };
  });
};

/** SequenceMap: the body on one element; tensors among the further inputs go in as they are. */
export const sequenceMap: Rule = (call) => {
  const graph = body(call, "body");
  if (graph === undefined) return [];
  const elements = call.inputs.map((type) => (type?.kind === "sequence" ? elementOf(type) : type));
  return call.inferBody(graph, elements).map((type): Output => ({ type: sequence(type) }));
};
