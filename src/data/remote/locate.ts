/** What users say about URLs, and the place that one names. */
import { checkedUrl, type Location, shownUrl } from "./location.js";
import { type S3Options, s3Location } from "./s3.js";

export interface RemoteOptions {
  /** Sent with every request to an http or https URL's own origin, such as `authorization`. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * Hosts that may lie at loopback, private or link-local addresses, as URLs name them. Default none: a URL from elsewhere
   * does not reach into this network.
   */
  readonly privateHosts?: readonly string[];
  /** Longest silence of a server, in milliseconds. Default 30,000. */
  readonly timeoutMs?: number;
  /** Where `s3://` URLs lead. Default: what the variables `AWS_…` of the environment say. */
  readonly s3?: S3Options;
}

/** The place that an http, https or s3 URL names. Throws USAGE. */
export function locate(text: string, options: RemoteOptions): Location {
  const privateHosts = options.privateHosts ?? [];
  if (/^s3:/i.test(text)) return s3Location(text, options.s3, privateHosts);
  const url = checkedUrl(text);
  return {
    name: shownUrl(url),
    url,
    privateHosts,
    headers: (wanted) => ({ ...options.headers, ...wanted }),
  };
}
