/** createHandler: the protocol's routes as one function for `node:http`, Express and Fastify. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { TenonError, toTenonError } from "../../base/index.js";
import type { Engine } from "../../runtime/index.js";
import { Processes } from "../metrics/processes.js";
import { LogSettings } from "../observe/log-settings.js";
import { TraceSettings } from "../observe/trace-settings.js";
import { Tracing } from "../observe/tracing.js";
import { oipRoutes } from "../oip/routes.js";
import { ScanPool } from "../oip/scan-pool.js";
import { type OipServer, packageVersion } from "../oip/server.js";
import { documented } from "../openapi/openapi-route.js";
import { ModelRepository } from "../repository/repository.js";
import { Roster } from "../roster.js";
import { SharedMemory } from "../shared-memory.js";
import { openaiRoutes } from "../texts/openai.js";
import { teiRoutes } from "../texts/tei.js";
import { BodyPool } from "./body-pool.js";
import { Exchange } from "./exchange.js";
import { admit } from "./gate.js";
import { checkOrigin, isAllowedOrigin } from "./guard.js";
import { isEarly } from "./handed-on.js";
import { KeyRing } from "./key-ring.js";
import type { Exchanges, HeaderList, OpenExchange } from "./open-exchange.js";
import { pathOf } from "./path.js";
import { type Match, Router } from "./router.js";
import { type HandlerOptions, type HandlerSettings, resolveSettings } from "./settings.js";
import { Strikes } from "./strikes.js";

/** The path under which all routes lie; `next` takes the others. */
const MOUNT = "/v2";

/** How often open requests are looked at for their time limits, in milliseconds. */
const SWEEP_INTERVAL = 1000;

/**
 * Answers one request. With `next` (Express and its kin), requests for paths outside `/v2` are passed on; without it
 * they are answered with 404.
 */
export interface Handler {
  (req: IncomingMessage, res: ServerResponse, next?: (error?: unknown) => void): void;
  /** Requests that have no answer yet, or whose answer is still on its way. */
  readonly open: number;
  /** Every route: verb, and path with `{model}` and `{version}` as places. */
  readonly routes: readonly { readonly method: string; readonly path: string }[];
  /**
   * From now on new requests are refused with SERVER_DRAINING, and connections close behind their answers. Resolves
   * when what was under way has its answer.
   */
  drain(): Promise<void>;
  /** Ends the handler's timer and threads. The engine stays open. */
  close(): Promise<void>;
}

/** A handler as the server's own doors see it. */
export interface ServerHandler extends Handler {
  readonly exchanges: Exchanges;
  /** Lets an exchange pass the gate to what its path means. Throws what refuses it. */
  enter(exchange: OpenExchange): Match;
}

/**
 * A handler of the Open Inference Protocol v2 for the models of `engine`.
 * The Host header is checked only where `allowedHosts` is set: behind a proxy or in an app that is the app's matter.
 */
export function createHandler(engine: Engine, options: HandlerOptions = {}): Handler {
  const settings = resolveSettings(options, false);
  return makeHandler(makeOip(engine, settings), settings, KeyRing.open(settings));
}

/** What the routes of a server work on. */
export function makeOip(engine: Engine, settings: HandlerSettings): OipServer {
  const { serverName, isReady, repository = new ModelRepository(engine) } = settings;
  const strikes = new Strikes(settings.crashStrikes);
  const memory = new SharedMemory(settings.extensions.includes("system_shared_memory"));
  const { extensions, log } = settings;
  const traces = new TraceSettings(extensions.includes("trace"));
  const logs = new LogSettings(extensions.includes("logging") ? log : undefined);
  const tracing = new Tracing(traces, log);
  const scans = new ScanPool(settings);
  const processes = new Processes();
  const shared = { scans, strikes, memory, traces, logs, tracing, processes };
  return { engine, repository, ...shared, serverName, isReady };
}

/** As `createHandler`, from settings that are resolved already, on what other protocols may share. */
export function makeHandler(
  oip: OipServer,
  settings: HandlerSettings,
  keys: KeyRing | undefined,
): ServerHandler {
  const { strikes } = oip;
  const exchanges: Exchanges = {
    settings,
    strikes,
    tracing: oip.tracing,
    bodies: new BodyPool(),
    open: new Roster(),
    draining: false,
    dialectOf: (path) => textRouter.dialectOf(path),
  };
  const { texts } = settings;
  const textRoutes =
    texts === undefined
      ? []
      : [...openaiRoutes(texts, oip.engine), ...teiRoutes(texts, packageVersion, oip.isReady)];
  const routes = documented([...oipRoutes(oip), ...textRoutes], {
    version: packageVersion,
    keyed: keys !== undefined,
    models: () => oip.repository.models(),
    texts,
  });
  const textRouter = new Router(textRoutes);
  const router = new Router(routes);
  const openPaths = new Set(routes.flatMap(({ path, open }) => (open === true ? [path] : [])));
  const sweeper = setInterval(() => sweep(exchanges), SWEEP_INTERVAL).unref();

  const enter = (exchange: OpenExchange): Match => {
    admit(exchange, keys, openPaths);
    const match = router.match(exchange.path);
    if (match === undefined) throw new TenonError("REQUEST_NOT_FOUND");
    return match;
  };
  const handle = (req: IncomingMessage, res: ServerResponse, next?: (error?: unknown) => void): void => {
    const path = pathOf(req.url ?? "/");
    // The start page is the application's.
    const isOurs = path === MOUNT || path.startsWith(`${MOUNT}/`) || (path !== "/" && textRouter.knows(path));
    if (next !== undefined && !isOurs) {
      next();
      return;
    }
    const exchange = new Exchange(req, res, exchanges, path);
    try {
      const running = dispatch(exchange, enter);
      if (running !== undefined) running.catch((error: unknown) => exchange.fail(toTenonError(error)));
    } catch (error) {
      exchange.fail(toTenonError(error));
    }
  };
  return Object.defineProperty(
    Object.assign(handle, {
      open: 0,
      exchanges,
      enter,
      routes: routes.map(({ method, path }) => ({ method, path })),
      drain: async () => {
        exchanges.draining = true;
        await Promise.all([...exchanges.open].map((exchange) => exchange.ended));
      },
      close: () => {
        clearInterval(sweeper);
        keys?.close();
        oip.memory.unregister();
        return oip.scans.close();
      },
    }),
    "open",
    { get: () => exchanges.open.size },
  );
}

function dispatch(exchange: Exchange, enter: ServerHandler["enter"]): Promise<void> | void {
  const { req, exchanges } = exchange;
  checkOrigin(req, exchanges.settings);
  const match = enter(exchange);
  const route = match.routes.get(req.method ?? "");
  if (route === undefined) return otherMethod(exchange, match);
  if (exchanges.draining && route.whileDraining !== true && !isEarly(req))
    throw new TenonError("SERVER_DRAINING");
  return route.run(exchange, match.params);
}

/** Browsers ask with OPTIONS before they call from an origin that is allowed; everything else is refused. */
function otherMethod(exchange: Exchange, match: Match): void {
  const { req } = exchange;
  const allowed = [...match.routes.keys()].join(", ");
  const { origin } = req.headers;
  if (
    req.method === "OPTIONS" &&
    origin !== undefined &&
    isAllowedOrigin(origin, exchange.exchanges.settings)
  ) {
    exchange.answer(204, preflightHeaders(allowed), []);
    return;
  }
  throw new TenonError("REQUEST_METHOD", { details: { allowed } });
}

function preflightHeaders(methods: string): HeaderList {
  return [
    "Access-Control-Allow-Methods",
    methods,
    "Access-Control-Allow-Headers",
    "Authorization, Content-Type, Content-Encoding, Inference-Header-Content-Length, x-request-id",
    "Access-Control-Max-Age",
    "600",
  ];
}

/** Gives up requests whose run takes too long, and connections whose client does not take its answer. */
function sweep(exchanges: Exchanges): void {
  const now = performance.now();
  const { replyTimeout, runDeadline } = exchanges.settings;
  for (const exchange of exchanges.open) {
    if (exchange.answeredAt > 0) {
      if (now - exchange.answeredAt > replyTimeout) exchange.giveUp();
    } else if (exchange.runningSince > 0 && now - exchange.runningSince > runDeadline) {
      exchange.abort();
      exchange.fail(new TenonError("DEADLINE"));
    }
  }
}
