/** `tenon serve`: finds models, listens, loads and warms them up, prints one ready line, drains on a signal. */
import { Command } from "commander";
import { on, suggest, TenonError } from "../base/index.js";
import type { Engine } from "../runtime/index.js";
import type { Closed, ModelRepository, RepositoryWatch, RunningServer, ServedModel } from "../serve/index.js";
import type { FoundModel } from "./discover.js";
import { EXIT } from "./exit-codes.js";
import type { FailedModel } from "./load-models.js";
import { useLibrary } from "./ort-library.js";
import { addSettings, resolveSettings, type Settings } from "./settings.js";
import { note, print, printJson, progress, styled, warn } from "./terminal.js";

export function serveCommand(): Command {
  const command = new Command("serve")
    .description("serve models over HTTP and gRPC (Open Inference Protocol v2)")
    .argument(
      "<path...>",
      "model file, NAME=FILE, folder of a Hugging Face model, folder of models, or model repository",
    );
  addSettings(command, [
    "host",
    "httpPort",
    "grpcPort",
    "metricsPort",
    "fronts",
    "lanes",
    "isolation",
    "spare",
    "modelMemory",
    "modelControl",
    "modelPoll",
    "residentMax",
    "loadModel",
    "warmup",
    "trust",
    "queue",
    "runDeadline",
    "loadTimeout",
    "drain",
    "apiKey",
    "apiKeyFile",
    "keyRequests",
    "crashStrikes",
    "tlsCert",
    "tlsKey",
    "allowedHosts",
    "corsOrigin",
    "responseCompression",
    "responseCache",
    "extensions",
    "bodyMax",
    "jsonBodyMax",
    "jsonDepth",
    "bodyChunks",
    "headerBytes",
    "headerCount",
    "tensorElements",
    "tensorRank",
    "stringBytes",
    "connections",
    "grpcStreams",
    "headersTimeout",
    "requestTimeout",
    "replyTimeout",
    "keepAlive",
    "cache",
    "cacheMax",
    "ortLib",
    "log",
    "logFormat",
  ]);
  return command.action(async (paths: readonly string[]) =>
    serveModels(paths, await resolveSettings(command)),
  );
}

async function serveModels(paths: readonly string[], settings: Settings): Promise<void> {
  const { values } = settings;
  // The first model process starts while this one reads its modules.
  useLibrary(values);
  const { beginProcess } = await import("../runtime/first-process.js");
  const first = values.isolation === "inline" ? undefined : beginProcess(values.lanes);
  const [{ discoverModels }, { openEngine }] = await Promise.all([
    import("./discover.js"),
    import("./engine.js"),
  ]);
  const explicit = values.modelControl === "explicit";
  const polled = values.modelControl === "poll";
  const { models: found, warnings } = await discoverModels(paths, {
    allowEmpty: explicit || polled,
  });
  for (const text of warnings) warn(text);
  const models = explicit ? startSet(found, values.loadModel) : found;
  if (!/^(127\.|localhost$|::1$)/.test(values.host) && values.apiKey === "" && values.apiKeyFile === "none") {
    warn(
      `${values.host} opens the server to the network, and NOBODY HAS TO SHOW A KEY: whoever reaches this machine can use its models. Give --api-key-file, or bind 127.0.0.1`,
    );
  }
  const signal = firstSignal();
  const ports = {
    grpcPort: portBeside(values.httpPort, values.grpcPort, 1),
    metricsPort: portBeside(values.httpPort, values.metricsPort, 2),
  };
  const [
    engine,
    { openLog },
    { loadModels },
    { ServedTexts },
    { ModelRepository: Repository, paceCollector, RepositoryWatch: Watch, ServerLog, serve },
  ] = await Promise.all([
    openEngine(values, { isolation: values.isolation, first }),
    import("./log.js"),
    import("./load-models.js"),
    import("./text-models.js"),
    import("../serve/index.js").then(async (module) => {
      await module.preloadServer(ports);
      return module;
    }),
  ]);
  const log = new ServerLog(openLog(values));
  on("engine:warning", ({ code, message }) => log.warn({ code }, message));
  on("model:warning", ({ model, code, message }) => log.warn({ model, code }, message));
  on("model:crashed", (event) => log.error(event, "model process ended"));
  on("model:loaded", (event) => log.info(event, "model loaded"));
  paceCollector();
  let ready = false;
  let server: RunningServer | undefined;
  let closed: Closed | undefined;
  let repository: ModelRepository | undefined;
  let watch: RepositoryWatch | undefined;
  try {
    // Before the models: a taken port must not cost minutes of loading.
    const texts = new ServedTexts(engine, (text) => log.warn({}, text));
    const named = async (): Promise<readonly FoundModel[]> => {
      const { models: there } = await discoverModels(paths, { allowEmpty: true });
      for (const { name, path } of there) texts.name(name, path);
      return there;
    };
    for (const { name, path } of found) texts.name(name, path);
    repository = new Repository(engine, {
      ...values,
      load: { warmup: values.warmup, trust: values.trust },
      open: (path) => texts.open(path),
      list: named,
    });
    server = await serve(engine, {
      ...values,
      port: values.httpPort,
      ...ports,
      log,
      repository,
      texts,
      isReady: () => ready && (!polled || found.length === 0 || repository!.models().length > 0),
    });
    if (polled) watch = await Watch.open(repository, { list: named, every: values.modelPoll, log });
    const bar = progress();
    bar.show(`loading ${models.map(({ name }) => name).join(", ")} …`);
    const interrupted = signal.then(() => undefined);
    const outcome = await Promise.race([loadModels(repository, models, engine.capacity.lanes), interrupted]);
    bar.clear();
    if (outcome !== undefined) {
      const { loaded, failed } = outcome;
      for (const { name, error } of failed)
        log.error({ model: name, code: error.code, err: error.cause }, error.message);
      if (loaded.length === 0 && models.length > 0 && !polled) throw nothingServes(failed);
      ready = true;
      watch?.start();
      await announce(server, loaded, failed, settings.json);
      await signal;
    }
    note(styled("dim", "draining …", process.stderr));
  } finally {
    ready = false;
    await watch?.close();
    const endBy = performance.now() + values.drain + CLOSE_LIMIT_MS;
    closed = await server?.close();
    await closeEngine(engine, values.isolation === "inline", closed?.cutOff ?? 0, endBy);
    await repository?.close();
  }
  if (closed !== undefined && closed.cutOff > 0) {
    throw new TenonError("DEADLINE", {
      problem: cutOffText(closed.cutOff),
      do: "raise --drain, or lower --run-deadline",
    });
  }
}

/** The port of a further service: `auto` lies so far behind the HTTP port; any free one where that is any free one too. */
function portBeside(httpPort: number, port: number | "auto" | "off", distance: number): number | "off" {
  if (port !== "auto") return port;
  if (httpPort === 0) return 0;
  return httpPort + distance > 65_535 ? "off" : httpPort + distance;
}

/** Resolves at SIGTERM or SIGINT; a second signal ends the process at once. */
function firstSignal(): Promise<void> {
  return new Promise((resolve) => {
    let seen = false;
    const handle = (code: number) => () => {
      if (seen) process.exit(code);
      seen = true;
      resolve();
    };
    process.on("SIGTERM", handle(143)).on("SIGINT", handle(130));
  });
}

/** How long after the drain time the process ends at the latest. */
const CLOSE_LIMIT_MS = 1000;

/**
 * Frees the models, on a busy machine for as long as the drain time lasts. A native run in this process that does not end would keep it for good, also in `process.exit`, so it
 * is killed then. Model processes end with this one, however it ends.
 */
async function closeEngine(engine: Engine, inline: boolean, cutOff: number, endBy: number): Promise<void> {
  const killer = setTimeout(
    () => {
      if (cutOff > 0) warn(cutOffText(cutOff));
      if (inline) process.kill(process.pid, "SIGKILL");
      else process.exit(cutOff > 0 ? EXIT.failure : EXIT.done);
    },
    Math.max(CLOSE_LIMIT_MS, endBy - performance.now()),
  );
  await engine.close();
  clearTimeout(killer);
}

function cutOffText(count: number): string {
  return `${count} ${count === 1 ? "request was" : "requests were"} cut off: no answer within the drain time`;
}

/** The models that `--load-model` names. Throws USAGE for one that is not there. */
function startSet(found: readonly FoundModel[], names: readonly string[]): readonly FoundModel[] {
  if (names.includes("*")) return found;
  return names.map((name) => {
    const model = found.find((candidate) => candidate.name === name);
    if (model !== undefined) return model;
    throw new TenonError("USAGE", {
      problem: `--load-model names a model that is not there`,
      given: `"${name}"`,
      expected:
        found.length === 0
          ? "no model was found"
          : suggest(
              name,
              found.map((entry) => entry.name),
            ),
    });
  });
}

function nothingServes(failed: readonly FailedModel[]): TenonError {
  return new TenonError("MODEL_UNAVAILABLE", {
    problem: failed.length === 1 ? "the model could not be loaded" : "none of the models could be loaded",
    given: failed.map(({ name, error }) => `${name}: ${error.code}: ${error.message}`).join("\n            "),
    cause: failed[0]!.error,
  });
}

async function announce(
  { url, grpcPort, metricsPort }: RunningServer,
  loaded: readonly ServedModel[],
  failed: readonly FailedModel[],
  json: boolean,
): Promise<void> {
  if (json) {
    printJson({
      schema: "tenon.serve/1",
      event: "ready",
      url,
      ...(grpcPort === undefined ? {} : { grpcPort }),
      ...(metricsPort === undefined ? {} : { metricsPort }),
      models: loaded.map(({ name, version }) => ({ name, version })),
      failed: failed.map(({ name, error }) => ({ name, code: error.code, problem: error.problem })),
    });
    return;
  }
  const names = loaded.map(({ name }) => name).join(", ") || "no model yet";
  print(`${styled("green", "ready")} ${styled("bold", url)} serves ${names}`);
  if (grpcPort !== undefined) print(`gRPC on ${new URL(url).hostname}:${grpcPort}`);
  for (const { name, error } of failed) warn(`${name} is not served: ${error.message}`);
  const { exampleCall } = await import("./example-call.js");
  if (loaded.length > 0) print(exampleCall(url, loaded));
}
