/** untie: a constant behind an Identity becomes a constant of its own, which training may change alone. */
import { type RewriteRule, rewriter } from "../rewrite.js";

const tied: RewriteRule = {
  name: "tied",
  ops: ["Identity"],
  match: (node, view) => {
    const data = view.constant(node.inputs[0] ?? "");
    const [output = ""] = node.outputs;
    if (data === undefined || view.isOutput(output)) return undefined;
    return {
      nodes: [node],
      apply: (patch) => {
        patch.removeNode(node);
        patch.replaceUses(output, patch.addInitializer(`${output}_value`, data));
      },
    };
  },
};

/** Exporters write equal weights once. The bytes stay shared; only the names part. */
export const untie = rewriter("untie", [tied]);
