/** What the variables of Hugging Face's tools say: where models are kept, which hub, and who asks. */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { TenonError } from "../../base/index.js";

export interface HubSettings {
  /** Folder of `models--owner--name`. */
  readonly cache: string;
  /** Origin and path of the hub, without a slash at the end. */
  readonly endpoint: URL;
  readonly offline: boolean;
  readonly token: string | undefined;
}

type Variables = Readonly<Record<string, string | undefined>>;

/** Throws CONFIG_INVALID for an endpoint that is no address of the web. */
export function hubSettings(env: Variables = process.env): HubSettings {
  const home = env.HF_HOME || join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "huggingface");
  return {
    cache: env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE || join(home, "hub"),
    endpoint: endpointOf(env.HF_ENDPOINT || "https://huggingface.co"),
    offline: isTrue(env.HF_HUB_OFFLINE) || isTrue(env.TRANSFORMERS_OFFLINE),
    token: isTrue(env.HF_HUB_DISABLE_IMPLICIT_TOKEN) ? undefined : tokenOf(env, home),
  };
}

function isTrue(value: string | undefined): boolean {
  return ["1", "ON", "YES", "TRUE"].includes((value ?? "").toUpperCase());
}

function endpointOf(text: string): URL {
  const invalid = (): TenonError =>
    new TenonError("CONFIG_INVALID", {
      problem: "HF_ENDPOINT",
      given: text.slice(0, 120),
      expected: "an address as https://huggingface.co",
    });
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw invalid();
  }
  if ((url.protocol !== "https:" && url.protocol !== "http:") || url.username !== "" || url.search !== "")
    throw invalid();
  return url;
}

function tokenOf(env: Variables, home: string): string | undefined {
  const given = (
    env.HF_TOKEN ||
    env.HUGGING_FACE_HUB_TOKEN ||
    tokenIn(env.HF_TOKEN_PATH || join(home, "token"))
  ).trim();
  if (given === "") return undefined;
  if (/^[\x21-\x7e]+$/.test(given)) return given;
  throw new TenonError("CONFIG_INVALID", {
    problem: "HF_TOKEN holds what no token holds",
    expected: "one word of ASCII",
  });
}

function tokenIn(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
