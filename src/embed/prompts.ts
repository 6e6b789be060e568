/** Which text is put in front, chosen as sentence-transformers chooses it. */
import { suggest, TenonError } from "../base/index.js";
import type { ModelCard } from "./card/card.js";

export interface PromptOptions {
  /** A name among the model's prompts. */
  readonly promptName?: string;
  /** The text itself; wins over a name. */
  readonly prompt?: string;
}

/** What a text is embedded as. */
export type TextRole = "query" | "passage" | "any";

const NAMES: Readonly<Record<TextRole, readonly string[]>> = {
  query: ["query"],
  passage: ["document", "passage", "corpus"],
  any: [],
};

/** The prompt; "" for none. Throws USAGE for a name that the model does not have. */
export function promptFor(
  card: Pick<ModelCard, "prompts" | "defaultPrompt">,
  role: TextRole,
  options: PromptOptions = {},
): string {
  if (typeof options.prompt === "string") return options.prompt;
  if (options.prompt !== undefined) {
    throw new TenonError("USAGE", {
      problem: "prompt",
      given: typeof options.prompt,
      expected: "a text, or no prompt",
    });
  }
  const prompts = card.prompts.value;
  const has = (name: string): boolean => Object.hasOwn(prompts, name);
  const { promptName } = options;
  if (promptName !== undefined) {
    if (has(promptName)) return prompts[promptName]!;
    const names = Object.keys(prompts);
    throw new TenonError("USAGE", {
      problem: "the model has no prompt of this name",
      given: `"${promptName.slice(0, 80)}"`,
      expected: names.length === 0 ? "no name: the model has no prompts" : suggest(promptName, names),
    });
  }
  const name = NAMES[role].find(has) ?? card.defaultPrompt;
  return name !== undefined && has(name) ? prompts[name]! : "";
}
