/** Where bytes behind a URL lie, and how they are asked for. */
import type { IncomingHttpHeaders } from "node:http";
import { TenonError } from "../../base/index.js";

export interface Location {
  /** As messages name it: without user, query and fragment, which may hold keys. */
  readonly name: string;
  readonly url: URL;
  /** Hosts that may lie at private addresses. */
  readonly privateHosts: readonly string[];
  /** The headers of a request to `url`, made of those that the request is about. */
  headers(wanted: Readonly<Record<string, string>>): Readonly<Record<string, string>>;
  /** The place that an answer without success hints at, where it does. */
  moved?(status: number, headers: IncomingHttpHeaders): Location | undefined;
}

/** Without user, query and fragment. */
export function shownUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

/** Throws USAGE for other protocols than http and https and for URLs with a password. */
export function checkedUrl(text: string | URL, from?: URL): URL {
  let url: URL;
  try {
    url = new URL(text, from);
  } catch (cause) {
    throw new TenonError("USAGE", { problem: "this is no URL", given: String(text).slice(0, 200), cause });
  }
  if (url.protocol !== "https:" && url.protocol !== "http:")
    throw new TenonError("USAGE", {
      problem: "tables are read from files, and from http, https and s3 URLs",
      given: `${url.protocol}//`,
      do: "give an https URL of the object, or download it",
    });
  if (url.username !== "" || url.password !== "")
    throw new TenonError("USAGE", {
      problem: "a URL holds a user or a password",
      given: shownUrl(url),
      do: "give them by `headers`: { authorization: … }",
    });
  return url;
}
