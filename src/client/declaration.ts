/** TypeScript declarations of models, from their metadata: what `tenon types` prints. */
import type { ModelMetadata, TensorMetadata } from "./client.js";
import { isDatatype } from "./datatypes.js";

/**
 * The text of a module that exports `Models`, for `connect<Models>(url)`. Models in the order given. Throws TypeError for
 * a model with a datatype that the protocol does not know.
 */
export function declareModels(models: readonly ModelMetadata[], source: string): string {
  const members = models.flatMap((model) => [
    `  /** ${sentence(model)} */`,
    `  readonly ${key(model.name)}: {`,
    `    readonly inputs: { ${model.inputs.map((value) => member(model, value)).join("; ")} };`,
    `    readonly outputs: { ${model.outputs.map((value) => member(model, value)).join("; ")} };`,
    "  };",
  ]);
  return [
    `/** Models of ${comment(source)}, written by \`tenon types\`. */`,
    "export interface Models {",
    ...members,
    "}",
    "",
  ].join("\n");
}

function sentence({ inputs, outputs }: ModelMetadata): string {
  const list = (values: readonly TensorMetadata[]): string =>
    values.map(({ name, datatype, shape }) => `${name} ${datatype}[${shape.join(", ")}]`).join(", ");
  return comment(`${list(inputs)} → ${list(outputs)}`);
}

function member(model: ModelMetadata, { name, datatype }: TensorMetadata): string {
  if (!isDatatype(datatype)) {
    throw new TypeError(
      `"${name}" of model "${model.name}" has the datatype ${datatype}, unknown to the protocol`,
    );
  }
  return `readonly ${key(name)}: "${datatype}"`;
}

function key(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}

/** Text that cannot end the comment it stands in. */
function comment(text: string): string {
  return text.replaceAll("*/", "*\u200b/").replace(/[\r\n\u2028\u2029]/g, " ");
}
