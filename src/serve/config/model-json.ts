/** `model.json` beside a model: what Triton's configuration has no word for. Data only: nothing in it runs or names a file. */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { suggest, TenonError } from "../../base/index.js";

export interface ModelJson {
  /** Requests of the same content that are under way at the same time share one run. Default false. */
  readonly share: boolean;
  /** Answers are kept in the response cache. Default: as `response_cache` says. */
  readonly cache: boolean | undefined;
}

const MOST_BYTES = 1 << 16;
const MEMBERS = ["share", "cache"] as const;

const NOTHING: ModelJson = { share: false, cache: undefined };

/** Reads the file in a model's folder; defaults without one. Throws CONFIG_INVALID with the member that is wrong. */
export async function readModelJson(folder: string | undefined, model: string): Promise<ModelJson> {
  if (folder === undefined) return NOTHING;
  const path = join(folder, "model.json");
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return NOTHING;
  const what = `${model}/model.json`;
  const invalid = (problem: string, field: string, expected?: string): TenonError =>
    new TenonError("CONFIG_INVALID", {
      problem: `${what}: ${problem}`,
      ...(expected === undefined ? {} : { expected }),
      details: { field },
    });
  if (!found.isFile() || found.size > MOST_BYTES)
    throw invalid("is no file, or too large", "", `a file of at most ${MOST_BYTES} bytes`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    const at = /position \d+|line \d+ column \d+/.exec(String(cause))?.[0] ?? "its end";
    throw invalid(`is not JSON at ${at}`, "", '{ "share": true }');
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed))
    throw invalid("is no object", "", '{ "share": true }');
  for (const [member, value] of Object.entries(parsed)) {
    if (!(MEMBERS as readonly string[]).includes(member))
      throw invalid(
        `has a member "${member.slice(0, 64)}"`,
        member.slice(0, 64),
        suggest(member, [...MEMBERS]),
      );
    if (typeof value !== "boolean") throw invalid(`"${member}" is no boolean`, member, "true or false");
  }
  const { share, cache } = parsed as Partial<Record<(typeof MEMBERS)[number], boolean>>;
  return { share: share ?? false, cache };
}
