/** HubClient: the requests of a hub's protocol. A token goes to the hub itself and to nobody whom it names. */
import { TenonError } from "../../base/index.js";
import { hashOf, isCommit } from "./names.js";
import type { HubSettings } from "./settings.js";

/** What a hub says of a file before it is read. */
export interface HubFile {
  /** SHA-256 of large files, git's SHA-1 of small ones. */
  readonly hash: string;
  readonly bytes: number | undefined;
}

export interface HubRepository {
  readonly commit: string;
  readonly files: readonly string[];
}

const MOST_REDIRECTS = 5;
/** Of a list of files. */
const MOST_BYTES = 64 * 2 ** 20;

export class HubClient {
  readonly #settings: HubSettings;
  readonly #signal: AbortSignal | undefined;

  constructor(settings: HubSettings, signal?: AbortSignal) {
    this.#settings = settings;
    this.#signal = signal;
  }

  /** The commit and the files of a revision. Throws MODEL_NOT_FOUND, SERVER_FAILED. */
  async repository(name: string, revision: string): Promise<HubRepository> {
    const answer = await this.#ask(
      this.#url(`api/models/${name}/revision/${encodeURIComponent(revision)}`),
      {},
      true,
    );
    if (!answer.ok) throw await this.#failure(answer, name, revision);
    const text = await textOf(answer, name);
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch (cause) {
      throw this.#strange("an answer that is not JSON", cause);
    }
    const { sha, siblings } = (body ?? {}) as { sha?: unknown; siblings?: unknown };
    if (!isCommit(sha) || !Array.isArray(siblings))
      throw this.#strange("an answer without a commit or files");
    const files = siblings.map((sibling: unknown) => (sibling as { rfilename?: unknown } | null)?.rfilename);
    return { commit: sha, files: files.filter((file) => typeof file === "string") };
  }

  /** Hash and size of a file, without its bytes. */
  async file(name: string, commit: string, path: string): Promise<HubFile> {
    const headers = { "Accept-Encoding": "identity" };
    // The hub's own answer has the hash; a redirect to another host has it too, and is not followed.
    const answer = await this.#ask(this.#file(name, commit, path), { method: "HEAD", headers }, false);
    await answer.body?.cancel();
    if (answer.status >= 400) throw await this.#failure(answer, name, commit, path);
    const hash = hashOf(answer.headers.get("x-linked-etag") ?? answer.headers.get("etag"));
    if (hash === undefined) throw this.#strange(`no hash of ${path}`);
    const told = answer.headers.get("x-repo-commit");
    if (told !== null && told !== commit) throw this.#strange(`${path} of the commit ${told.slice(0, 40)}`);
    const size =
      answer.headers.get("x-linked-size") ?? (answer.ok ? answer.headers.get("content-length") : null);
    return { hash, bytes: size !== null && /^\d{1,15}$/.test(size) ? Number(size) : undefined };
  }

  /** The bytes of a file from `start` on; `start` of the answer is 0 where the host sends all of it. */
  async open(
    name: string,
    commit: string,
    path: string,
    start: number,
  ): Promise<{ readonly start: number; readonly body: AsyncIterable<Uint8Array> }> {
    const headers = {
      "Accept-Encoding": "identity",
      ...(start === 0 ? {} : { Range: `bytes=${start}-` }),
    };
    const answer = await this.#ask(this.#file(name, commit, path), { headers }, true);
    if (answer.status === 416) {
      await answer.body?.cancel();
      return this.open(name, commit, path, 0);
    }
    if (!answer.ok || answer.body === null) throw await this.#failure(answer, name, commit, path);
    const from = /^bytes (\d+)-/.exec(answer.headers.get("content-range") ?? "")?.[1];
    if (answer.status === 206 && Number(from) !== start) {
      await answer.body.cancel();
      throw this.#strange(`the bytes from ${from} in place of those from ${start}`);
    }
    return { start: answer.status === 206 ? start : 0, body: answer.body };
  }

  #url(path: string): URL {
    const { endpoint } = this.#settings;
    return new URL(`${endpoint.pathname.replace(/\/$/, "")}/${path}`, endpoint);
  }

  #file(name: string, commit: string, path: string): URL {
    return this.#url(`${name}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`);
  }

  /** A request that follows redirects: those of the hub to itself always, those to others where `afar`. */
  async #ask(
    first: URL,
    { method = "GET", headers = {} }: { readonly method?: string; readonly headers?: Record<string, string> },
    afar: boolean,
  ): Promise<Response> {
    let url = first;
    for (let turn = 0; turn <= MOST_REDIRECTS; turn++) {
      const answer = await this.#once(url, method, headers);
      const location = answer.headers.get("location");
      if (answer.status < 300 || answer.status >= 400 || location === null) return answer;
      const next = new URL(location, url);
      if (!afar && next.origin !== this.#settings.endpoint.origin) return answer;
      await answer.body?.cancel();
      if (next.protocol !== "https:" && (next.protocol !== "http:" || url.protocol === "https:"))
        throw this.#strange(`a redirect from ${url.protocol} to ${next.protocol}`);
      url = next;
    }
    throw this.#strange(`more than ${MOST_REDIRECTS} redirects`);
  }

  async #once(url: URL, method: string, given: Record<string, string>): Promise<Response> {
    const { token, endpoint } = this.#settings;
    const headers: Record<string, string> = { "User-Agent": "tenon", ...given };
    if (token !== undefined && url.origin === endpoint.origin) headers.Authorization = `Bearer ${token}`;
    try {
      return await fetch(url, {
        method,
        headers,
        redirect: "manual",
        ...(this.#signal === undefined ? {} : { signal: this.#signal }),
      });
    } catch (cause) {
      if (this.#signal?.aborted === true) throw new TenonError("CANCELLED", { cause });
      throw new TenonError("SERVER_FAILED", {
        problem: "the hub could not be reached",
        given: url.origin,
        do: "look at the network, or set HF_ENDPOINT to a mirror",
        cause,
      });
    }
  }

  async #failure(answer: Response, name: string, revision: string, path?: string): Promise<TenonError> {
    await answer.body?.cancel();
    const code = answer.headers.get("x-error-code") ?? "";
    const { token, endpoint } = this.#settings;
    const page = new URL(name, `${endpoint.origin}/`).href;
    const signIn =
      token === undefined
        ? "and set HF_TOKEN to a token of yours"
        : "and look that HF_TOKEN is of that account";
    if (code === "GatedRepo") {
      return new TenonError("MODEL_NOT_FOUND", {
        problem: "the model is given only to those who accepted its terms",
        given: name,
        do: `accept them at ${page}, ${signIn}`,
      });
    }
    if (code === "RevisionNotFound" || code === "EntryNotFound") {
      return new TenonError("MODEL_NOT_FOUND", {
        problem: code === "EntryNotFound" ? "the model has no such file" : "the model has no such revision",
        given: `${name} ${path ?? ""} ${revision}`.replace(/ +/g, " "),
        do: `see ${page}`,
      });
    }
    if (code === "RepoNotFound" || [401, 403, 404].includes(answer.status)) {
      return new TenonError("MODEL_NOT_FOUND", {
        problem: "the hub has no such model, or does not show it",
        given: name,
        do: `look at its name at ${endpoint.origin}; if it is private, ${signIn.replace(/^and /, "")}`,
      });
    }
    return new TenonError("SERVER_FAILED", {
      problem: "the hub refused the request",
      given: `${answer.status} for ${name}${path === undefined ? "" : ` ${path}`}`,
      details: { status: answer.status },
    });
  }

  #strange(given: string, cause?: unknown): TenonError {
    return new TenonError("SERVER_FAILED", {
      problem: "the hub answered what a hub does not answer",
      given,
      ...(cause === undefined ? {} : { cause }),
    });
  }
}

async function textOf(answer: Response, name: string): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of answer.body as unknown as AsyncIterable<Uint8Array>) {
    bytes += part.length;
    if (bytes > MOST_BYTES) {
      throw new TenonError("SERVER_FAILED", {
        problem: "the hub's list of files is too long",
        given: name,
        expected: `at most ${MOST_BYTES} bytes`,
      });
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}
