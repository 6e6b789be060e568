/** The routes of rollouts: begin one, see it, promote the candidate or roll back, each by one call. */
import { isTenonError, TenonError } from "../../base/index.js";
import { answerJson } from "../http/json-body.js";
import type { Route } from "../http/router.js";
import type { RouteDoc } from "../openapi/route-doc.js";
import type { ModelRepository } from "../repository/repository.js";
import { readMembers } from "./json-members.js";
import { booleanParameter, countParameter, type Parameters } from "./request-parameters.js";
import { failedLoadText } from "./server.js";

const SHOW: RouteDoc = { summary: "How two versions compare.", answer: "Rollout" };
const BEGIN: RouteDoc = {
  summary: "Tries a version beside the one that answers.",
  body: "RolloutRequest",
  bodyNeeded: true,
  answer: "Rollout",
  fails: ["MODEL_CONTROL_OFF"],
};
const PROMOTE: RouteDoc = {
  summary: "The candidate answers from now on.",
  answer: "Rollout",
  fails: ["MODEL_CONTROL_OFF"],
};
const ROLL_BACK: RouteDoc = { ...PROMOTE, summary: "The version from before answers alone again." };

export function rolloutRoutes(repository: ModelRepository): readonly Route[] {
  const allowed = (): void => {
    if (!repository.explicit) throw new TenonError("MODEL_CONTROL_OFF");
  };

  const show: Route["run"] = (exchange, { model }) =>
    answerJson(exchange, repository.rollout(model).report());

  const begin: Route["run"] = async (exchange, { model }) => {
    allowed();
    const asked = await readMembers(exchange);
    const percent = countParameter(asked, "percent") ?? 0;
    if (percent > 100) throw invalid(`'percent' is ${percent}, and at most 100 are allowed`);
    const mirror = booleanParameter(asked, "mirror") ?? true;
    const version = versionOf(asked);
    try {
      answerJson(exchange, (await repository.beginRollout(model, version, percent, mirror)).report());
    } catch (thrown) {
      if (isTenonError(thrown, "REQUEST_INVALID") || isTenonError(thrown, "MODEL_NOT_FOUND")) throw thrown;
      throw invalid(failedLoadText(model, thrown).text);
    }
  };

  const end =
    (promote: boolean): Route["run"] =>
    (exchange, { model }) => {
      allowed();
      answerJson(exchange, repository.endRollout(model, promote));
    };

  // biome-ignore format: a table is read by columns
  return [
    { method: "GET",  path: "/v2/models/{model}/rollout",          run: show,       doc: SHOW },
    { method: "POST", path: "/v2/models/{model}/rollout",          run: begin,      doc: BEGIN },
    { method: "POST", path: "/v2/models/{model}/rollout/promote",  run: end(true),  doc: PROMOTE },
    { method: "POST", path: "/v2/models/{model}/rollout/rollback", run: end(false), doc: ROLL_BACK },
  ];
}

function versionOf(asked: Parameters): string {
  const version = String(asked.get("version") ?? "");
  if (/^[1-9][0-9]{0,8}$/.test(version)) return version;
  throw invalid("a rollout needs the 'version' that is tried, such as \"2\"");
}

function invalid(problem: string): TenonError {
  return new TenonError("REQUEST_INVALID", { problem });
}
