/** Parameter groups of a step: which parameter has which rates. */
import type { Group } from "../memory.js";
import type { ParameterGroup } from "./options.js";

/** Vectors, biases, norms and embeddings: what is left out of weight decay. */
const undecayed: ParameterGroup = {
  match: (name, shape) =>
    shape.length <= 1 || /(^|[._/])(bias|embeddings?|(layer|batch|group|rms)_?norm)/i.test(name),
  weightDecay: 0,
};

export interface Groups {
  readonly groups: readonly Group[];
  groupOf(name: string, shape: readonly number[]): number;
}

/** The groups of `given`, then one for all other parameters. */
export function groupsOf(given: readonly ParameterGroup[] | "pytorch" = [undecayed]): Groups {
  const rows = given === "pytorch" ? [] : given;
  const groups = rows.map(({ match: _, ...group }): Group => group);
  return {
    groups: [...groups, {}],
    groupOf: (name, shape) => {
      const found = rows.findIndex(({ match }) =>
        match instanceof RegExp ? match.test(name) : match(name, shape),
      );
      return found === -1 ? rows.length : found;
    },
  };
}
