/** remove-identity: uses of an Identity use its input; an output of the graph takes over the name. */
import { type RewriteRule, rewriter } from "../rewrite.js";

const identity: RewriteRule = {
  name: "identity",
  ops: ["Identity"],
  match: (node, view) => {
    const [input = ""] = node.inputs;
    const [output = ""] = node.outputs;
    if (!view.isOutput(output)) {
      return {
        nodes: [node],
        apply: (patch) => {
          patch.replaceUses(output, input);
          patch.removeNode(node);
        },
      };
    }
    const producer = view.producers.get(input);
    if (producer === undefined || view.isOutput(input)) return undefined;
    return {
      nodes: [producer, node],
      apply: (patch) => {
        patch.removeNode(node);
        patch.renameValue(input, output);
      },
    };
  },
};

/** An Identity stays where it gives a name to an input, a constant or a second output. */
export const removeIdentity = rewriter("remove-identity", [identity]);
