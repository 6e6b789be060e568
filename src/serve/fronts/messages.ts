/** What a server and its fronts tell each other besides frames, and what a front works with. */
import type { KeyPair } from "../http/certificate.js";
import type { HttpLimits } from "../http/http-server.js";
import type { HandlerSettings } from "../http/settings.js";

/** The settings that a front needs, under their names. */
export interface FrontSettings
  extends HttpLimits,
    Pick<
      HandlerSettings,
      | "corsOrigin"
      | "responseCompression"
      | "bodyMax"
      | "jsonBodyMax"
      | "jsonDepth"
      | "bodyChunks"
      | "tensorElements"
      | "tensorRank"
      | "stringBytes"
      | "replyTimeout"
      | "json"
    > {
  /** Host names a request may address; null: any. */
  readonly hosts: readonly string[] | null;
  /** Whether requests must show a key. */
  readonly keyed: boolean;
  /** Where the server takes requests that a front hands on, and what it knows them by. */
  readonly inner: { readonly path: string; readonly secret: string };
  /** Largest frame that the server takes. */
  readonly frameBytes: number;
}

export type ToFront =
  | { readonly kind: "settings"; readonly settings: FrontSettings; readonly pair: KeyPair | null }
  | { readonly kind: "pair"; readonly pair: KeyPair }
  /** Comes with a connection. */
  | { readonly kind: "connection" }
  /** The server drains: what begins from now on is late. Tell when no client waits for anything. */
  | { readonly kind: "quiet" }
  /** Let connections end, then end. */
  | { readonly kind: "close" }
  /** End now. */
  | { readonly kind: "cut" };

export type FromFront =
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly problem: string }
  | { readonly kind: "quiet" }
  /** Requests whose connections are cut. */
  | { readonly kind: "cut"; readonly count: number }
  /** Used so far, and in use. */
  | { readonly kind: "usage"; readonly cpuSeconds: number; readonly residentBytes: number };
