/** What embedders and scorers stand on: an engine that was given or is their own, and their graph loaded on it. */
import type { OnnxModel } from "../onnx/index.js";
import { defaultCacheFolder, Engine, type MadeSource, type Model, modelNameOf } from "../runtime/index.js";

export interface OpenOptions {
  /** An engine to run on, which stays open. Default: one of its own. */
  readonly engine?: Engine;
  /** The model's name in the engine. Default: the folder's. */
  readonly name?: string;
  /** Runs at the same time, one thread each. Default: one per core. Not with `engine`. */
  readonly lanes?: number | "auto";
  /** Folder of compiled models, or false; as the engine's. Not with `engine`. */
  readonly cache?: string | false;
}

/** A graph on an engine. `release` frees it, and the engine too unless it was given. */
export interface OpenedModel {
  readonly engine: Engine;
  readonly model: () => Model;
  release(): Promise<void>;
}

/** The folder that things are kept in for the next time; false for none. */
export function cacheOf({ engine, cache }: OpenOptions): string | false {
  if (engine !== undefined) return engine.cacheFolder ?? false;
  return cache ?? defaultCacheFolder();
}

/** Loads a graph that may not have to be made. */
export type LoadMade = <A>(
  source: MadeSource<A>,
) => Promise<{ readonly opened: OpenedModel; readonly about: A }>;

/**
 * Opens an engine where none is given, which is closed again if anything rejects. `prepare` reads the folder meanwhile: the
 * library of the engine is opened by another thread. `load` puts a graph on the engine.
 */
export async function onEngine<P, T>(
  folder: string,
  options: OpenOptions,
  prepare: (opening: Promise<Engine>) => Promise<P>,
  use: (
    prepared: P,
    load: (graph: OnnxModel) => Promise<OpenedModel>,
    engine: Engine,
    loadMade: LoadMade,
  ) => Promise<T>,
): Promise<T> {
  const { lanes, cache } = options;
  const opening =
    options.engine === undefined
      ? Engine.open({
          ...(lanes === undefined ? {} : { lanes }),
          ...(cache === undefined ? {} : { cache }),
        })
      : Promise.resolve(options.engine);
  const closeEngine = async (): Promise<void> => {
    const own = options.engine === undefined ? await opening.catch(() => undefined) : undefined;
    await own?.close();
  };
  try {
    const [prepared, engine] = await Promise.all([prepare(opening), opening]);
    const name = options.name ?? modelNameOf(folder, undefined);
    const how = { name, batch: { max: 1 }, calibrate: false } as const;
    const opened = (model: Model): OpenedModel => ({
      engine,
      model: () => model,
      release: async () => {
        await model.unload();
        await closeEngine();
      },
    });
    const load = async (graph: OnnxModel): Promise<OpenedModel> => opened(await engine.load(graph, how));
    const loadMade: LoadMade = async (source) => {
      const { model, about } = await engine.loadMade(source, how);
      return { opened: opened(model), about };
    };
    return await use(prepared, load, engine, loadMade);
  } catch (error) {
    await closeEngine();
    throw error;
  }
}

/** A graph that another loads and frees. */
export function onModel(engine: Engine, model: () => Model): OpenedModel {
  return { engine, model, release: async () => undefined };
}
