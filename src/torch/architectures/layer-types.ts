/** Which layers see everything and which a window, as configs list it or by a rule of the architecture. */
import type { Config } from "./config.js";

const TYPES = ["full_attention", "sliding_attention"] as const;

export type LayerType = (typeof TYPES)[number];

/** From `layer_types`, else by the rule. */
export function layerTypes(config: Config, layers: number, slides: (layer: number) => boolean): LayerType[] {
  const listed = config.list("layer_types");
  if (listed === undefined)
    return Array.from({ length: layers }, (_, layer) =>
      slides(layer) ? "sliding_attention" : "full_attention",
    );
  if (listed.length !== layers || !listed.every((type) => (TYPES as readonly unknown[]).includes(type)))
    throw config.wrong("layer_types", `${layers} times ${TYPES.join(" or ")}`);
  return listed as LayerType[];
}
