/** The route table's matcher: paths of fixed words and `{model}`, `{version}` places, found again by their URL. */
import { TenonError } from "../../base/index.js";
import { isModelName } from "../../runtime/model-name.js";
import type { ErrorDialect, RouteDoc } from "../openapi/route-doc.js";
import type { Exchange } from "./exchange.js";

/** Verbs that routes answer. */
export type Method = "GET" | "POST";

/** The places of a path, filled in. Absent where the route has no such place. */
export interface RouteParams {
  readonly model: string;
  readonly version: string | undefined;
  /** Name of a region of shared memory. */
  readonly region?: string | undefined;
}

/** One row of a route table. */
export interface Route {
  readonly method: Method;
  /** `/v2/models/{model}/infer`. */
  readonly path: string;
  /** What it takes and answers, for the OpenAPI document. */
  readonly doc: RouteDoc;
  /** Answers the exchange; what it throws becomes the answer. */
  readonly run: (exchange: Exchange, params: RouteParams) => Promise<void> | void;
  /** Answered while the server drains. */
  readonly whileDraining?: boolean;
  /** Answered without an API key; only for paths without places. */
  readonly open?: boolean;
}

/** The rows of what is asked of a model, its newest version or one that is named. */
export function modelRows(method: Method, what: string, run: Route["run"], doc: RouteDoc): readonly Route[] {
  return ["", "/versions/{version}"].map((version) => ({
    method,
    path: `/v2/models/{model}${version}${what}`,
    run,
    doc,
  }));
}

interface Node {
  readonly words: Map<string, Node>;
  /** The node behind a place, with the place's name. */
  place: { readonly name: "model" | "version" | "region"; readonly node: Node } | undefined;
  readonly routes: Map<string, Route>;
}

/** A path that matched: its routes by verb. */
export interface Match {
  readonly routes: ReadonlyMap<string, Route>;
  readonly params: RouteParams;
}

const VERSION = /^[0-9]{1,18}$/;

/** URLs whose match is remembered; beyond that all are forgotten. */
const REMEMBERED = 1024;

/** Matches the paths of a route table. */
export class Router {
  readonly #root = emptyNode();
  readonly #known = new Map<string, Match>();

  constructor(routes: readonly Route[]) {
    for (const route of routes) {
      let node = this.#root;
      for (const segment of route.path.slice(1).split("/")) node = childOf(node, segment);
      node.routes.set(route.method, route);
    }
  }

  /** The match of a path without its query; undefined when no route has it. Throws REQUEST_INVALID for bad escapes. */
  match(path: string): Match | undefined {
    const known = this.#known.get(path);
    if (known !== undefined) return known;
    const found = this.#find(path);
    if (found !== undefined && path.length <= 512) {
      if (this.#known.size >= REMEMBERED) this.#known.clear();
      this.#known.set(path, found);
    }
    return found;
  }

  /** Whether a route has this path. */
  knows(path: string): boolean {
    try {
      return this.match(path) !== undefined;
    } catch {
      return false;
    }
  }

  /** How the routes of this path write their errors. */
  dialectOf(path: string): ErrorDialect | undefined {
    if (!this.knows(path)) return undefined;
    return [...this.match(path)!.routes.values()].find(({ doc }) => doc.dialect !== undefined)?.doc.dialect;
  }

  #find(path: string): Match | undefined {
    if (!path.startsWith("/")) return undefined;
    let node = this.#root;
    let model = "";
    let version: string | undefined;
    let region: string | undefined;
    for (const segment of path.slice(1).split("/")) {
      const word = node.words.get(segment);
      if (word !== undefined) {
        node = word;
        continue;
      }
      if (node.place === undefined) return undefined;
      const value = decode(segment);
      if (node.place.name === "model") {
        if (!isModelName(value)) throw unknownModel(value);
        model = value;
      } else if (node.place.name === "region") region = value;
      else {
        if (!VERSION.test(value)) return undefined;
        version = value;
      }
      node = node.place.node;
    }
    return node.routes.size === 0 ? undefined : { routes: node.routes, params: { model, version, region } };
  }
}

const PLACES: Readonly<Record<string, "model" | "version" | "region">> = {
  "{model}": "model",
  "{version}": "version",
  "{region}": "region",
};

function emptyNode(): Node {
  return { words: new Map(), place: undefined, routes: new Map() };
}

function childOf(node: Node, segment: string): Node {
  const name = PLACES[segment];
  if (name !== undefined) {
    node.place ??= { name, node: emptyNode() };
    return node.place.node;
  }
  let child = node.words.get(segment);
  if (child === undefined) {
    child = emptyNode();
    node.words.set(segment, child);
  }
  return child;
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch (cause) {
    throw new TenonError("REQUEST_INVALID", { problem: "the path holds a broken percent escape", cause });
  }
}

function unknownModel(name: string): TenonError {
  return new TenonError("MODEL_NOT_FOUND", {
    problem: "no model has a name like this",
    details: { model: name.slice(0, 128) },
  });
}
