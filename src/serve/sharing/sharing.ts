/** Sharing: answers from the response cache, and one run for requests of the same content, where a model's files ask for it. */
import type { Inputs, Outputs } from "../../runtime/index.js";
import type { ConfigFile } from "../config/config-file.js";
import type { ModelJson } from "../config/model-json.js";
import { statisticsOf } from "../metrics/statistics.js";
import type { ServedModel, ServedRunOptions } from "../served-model.js";
import { Flights } from "./flights.js";
import { contentKey, type ResponseCache } from "./response-cache.js";

type Run = (options: ServedRunOptions) => Promise<Outputs>;

export class Sharing {
  readonly #cache: ResponseCache | undefined;
  readonly #flights: Flights | undefined;

  /** `cache`: answers are kept there; `share`: requests of the same content that are under way share one run. */
  constructor(cache: ResponseCache | undefined, share: boolean) {
    this.#cache = cache;
    this.#flights = share ? new Flights() : undefined;
  }

  /** The outputs of `model` for these inputs: kept ones, those of a run under way, or of `run`. */
  async run(model: ServedModel, inputs: Inputs, options: ServedRunOptions, run: Run): Promise<Outputs> {
    const startedAt = performance.now();
    const key = contentKey(model, inputs, options.outputs);
    const kept = this.#cache?.get(key);
    if (kept !== undefined) {
      statisticsOf(model).hit(performance.now() - startedAt);
      return kept;
    }
    let cacheMs = performance.now() - startedAt;
    const keep = async (running: Promise<Outputs>): Promise<Outputs> => {
      const outputs = await running;
      if (this.#cache !== undefined) {
        const from = performance.now();
        this.#cache.put(key, outputs);
        cacheMs += performance.now() - from;
        statisticsOf(model).missed(cacheMs);
      }
      return outputs;
    };
    if (this.#flights === undefined) return await keep(run(options));
    const { signal: _, deadlineMs: __, ...others } = options;
    return await this.#flights.join(key, options, (signal) => keep(run({ ...others, signal })));
  }
}

/** What a model's files ask for: kept answers, shared runs; undefined for neither. */
export function sharingOf(
  file: ConfigFile | undefined,
  { share, cache }: ModelJson,
  answers: ResponseCache | undefined,
): Sharing | undefined {
  const kept = (cache ?? file?.config.response_cache?.enable ?? false) ? answers : undefined;
  return share || kept !== undefined ? new Sharing(kept, share) : undefined;
}
