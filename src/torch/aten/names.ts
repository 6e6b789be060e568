/** Names of a converted model: outputs by the structure that the model returned, free dims by what they mean. */
import { TenonError } from "../../base/index.js";
import type { Dim } from "../../onnx/index.js";
import { dtypeInfo } from "../../tensor/index.js";
import { quoted } from "../invalid.js";
import type { SymSize, TensorMeta } from "../pt2/program.js";

/** Names for `count` outputs in flat order, from the pytree spec of the result. Unreadable specs give numbers. */
export function outputNames(spec: string | undefined, count: number): string[] {
  const names = spec === undefined ? [] : leavesOf(spec);
  const fallback = count === 1 ? ["output"] : Array.from({ length: count }, (_, i) => `output_${i}`);
  const usable = names.length === count && names.every((name) => name !== "");
  const chosen = usable
    ? names.map((name, i) => (/^\d/.test(name) ? `output_${name}` : name || fallback[i]!))
    : fallback;
  return new Set(chosen).size === count ? chosen : fallback;
}

interface Spec {
  readonly type: string | null;
  readonly context: unknown;
  readonly children_spec: readonly Spec[];
}

function leavesOf(text: string): string[] {
  try {
    const [, root] = JSON.parse(text) as [number, Spec];
    const leaves: string[] = [];
    const walk = (spec: Spec, path: readonly string[]): void => {
      if (spec.type === null && spec.children_spec.length === 0) {
        leaves.push(path.join("_"));
        return;
      }
      const keys = keysOf(spec);
      spec.children_spec.forEach((child, i) => {
        walk(child, [...path, keys[i] ?? String(i)]);
      });
    };
    walk(root, []);
    return leaves;
  } catch {
    return [];
  }
}

/** Keys of a dict or of a dataclass, wherever its context holds as many texts as there are children. */
function keysOf({ context, children_spec }: Spec): readonly string[] {
  const search = (value: unknown): readonly string[] | undefined => {
    if (typeof value === "string") {
      try {
        return search(JSON.parse(value));
      } catch {
        return undefined;
      }
    }
    if (!Array.isArray(value)) return undefined;
    if (value.length === children_spec.length && value.every((item) => typeof item === "string"))
      return value;
    for (const item of value) {
      const found = search(item);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return search(context) ?? [];
}

/** A plain symbol's name: `s72` of `Symbol('s72', positive=True, integer=True)` or of `s72`; undefined: an expression. */
function symbolOf(size: SymSize): string | undefined {
  if (typeof size === "number") return undefined;
  return /^(?:Symbol\('(\w+)'[^()]*\)|([A-Za-z_]\w*))$/.exec(size.expr.trim())?.slice(1).find(Boolean);
}

/**
 * Names of symbols: `batch`, `sequence`, or their own; `chosen` overrides. Throws USAGE for a symbol that no input or
 * output has, and for a name of two symbols, which would make one size of them.
 */
export function dimNames(
  inputs: readonly TensorMeta[],
  results: readonly TensorMeta[],
  chosen: Readonly<Record<string, string>>,
): (size: SymSize) => Dim {
  const names = new Map<string, string>();
  const firsts = inputs.flatMap(({ sizes: [first] }) => (first === undefined ? [] : [symbolOf(first)]));
  const [batch, ...others] = new Set(firsts.filter((symbol) => symbol !== undefined));
  if (batch !== undefined && others.length === 0) names.set(batch, "batch");
  for (const { sizes, dtype } of inputs) {
    const kind = dtypeInfo(dtype).kind;
    const second = sizes.length === 2 && kind === "int" ? symbolOf(sizes[1]!) : undefined;
    if (second !== undefined && !names.has(second) && ![...names.values()].includes("sequence"))
      names.set(second, "sequence");
  }
  const symbols = new Set(
    [...inputs, ...results].flatMap(({ sizes }) =>
      sizes.map(symbolOf).filter((symbol) => symbol !== undefined),
    ),
  );
  for (const [symbol, name] of Object.entries(chosen)) {
    if (!symbols.has(symbol))
      throw new TenonError("USAGE", {
        problem: "the program has no such free dim",
        given: quoted(symbol),
        expected: symbols.size === 0 ? "none: all its sizes are fixed" : [...symbols].join(", "),
      });
    names.set(symbol, name);
  }
  const taken = [...symbols].map((symbol) => names.get(symbol) ?? symbol);
  const twice = taken.find((name, i) => taken.indexOf(name) !== i);
  if (twice !== undefined)
    throw new TenonError("USAGE", { problem: "two free dims would have one name", given: quoted(twice) });
  return (size) => {
    if (typeof size === "number") return size;
    const symbol = symbolOf(size);
    return symbol === undefined ? null : (names.get(symbol) ?? symbol);
  };
}
