/** rename-io: other names for a graph's inputs and outputs. */
import { suggest, TenonError } from "../../base/index.js";
import { type Pass, withGraph } from "../pass.js";
import { Patch } from "../patch.js";
import { allNamesOf } from "../uses.js";

/** Throws USAGE for a name that is no input or output, and for a new name that is taken. */
export function renameIo(names: Readonly<Record<string, string>>): Pass {
  return {
    name: "rename-io",
    apply: (model) => {
      const { graph } = model;
      const ends = new Set([...graph.inputs, ...graph.outputs].map(({ name }) => name));
      const taken = allNamesOf(graph);
      for (const old of Object.keys(names)) taken.delete(old);
      const patch = new Patch(graph, model.opsets);
      for (const [old, name] of Object.entries(names)) {
        if (!ends.has(old)) {
          throw new TenonError("USAGE", {
            problem: "the graph has no input or output of this name",
            given: old,
            expected: suggest(old, [...ends]),
          });
        }
        if (name === "" || taken.has(name)) {
          throw new TenonError("USAGE", {
            problem: "another value has this name already",
            given: `"${name}"`,
          });
        }
        taken.add(name);
        patch.renameValue(old, name);
      }
      return withGraph(model, patch.apply());
    },
  };
}
