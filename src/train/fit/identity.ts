/** What a checkpoint was made with, as hashes, and the refusal to go on with something else. */
import { createHash } from "node:crypto";
import { TenonError } from "../../base/index.js";
import { usableCores } from "../../runtime/index.js";
import type { TrainStep } from "../step/step.js";
import type { FitState } from "./checkpoint.js";
import type { FitOptions, Mismatch } from "./options.js";

const hashOf = (value: unknown): string =>
  createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 32);

export function identityOf(step: TrainStep, options: FitOptions, data: string | undefined): FitState["made"] {
  const { parts } = step.model;
  const { graph } = parts.onnx;
  const { optimizer } = step;
  const { clipNorm, accumulate = 1, average, seed = 0, groups } = step.options;
  const rates = { step: 2, lr: optimizer.lr, weightDecay: optimizer.weightDecay };
  const { ratios, matrices } = optimizer;
  const beyond = [
    ...(ratios === undefined ? [] : [ratios]),
    ...(matrices === undefined ? [] : [matrices, matrices.scalars(rates, [3, 2]), step.memory.matrices]),
  ];
  return {
    model: hashOf([
      graph.nodes.map(({ op, domain, inputs, outputs }) => [op, domain, inputs, outputs]),
      parts.trainable.map((name) => [name, step.model.shapeOf(name)]),
      parts.modal,
    ]),
    config: hashOf([
      [optimizer.name, rates, optimizer.scalars(rates), optimizer.update, ...beyond],
      [clipNorm, accumulate, average, seed],
      groups === undefined || groups === "pytorch"
        ? groups
        : groups.map(({ match, ...rest }) => [String(match), rest]),
      [options.seed ?? seed, options.epochs ?? 1, options.totalSteps],
      [0, 1, 10, 100, 1000].map((at) => options.schedule?.(at, 10_000) ?? 1),
    ]),
    data: data ?? null,
    threads: step.options.threads ?? usableCores(),
  };
}

/** Throws PLAN_MISMATCH for differences that are not allowed. */
export function checkIdentity(
  saved: FitState["made"],
  now: FitState["made"],
  allowed: readonly Mismatch[],
  folder: string,
): void {
  const kinds: readonly Mismatch[] = ["model", "config", "data", "threads"];
  const different = kinds.filter((kind) => saved[kind] !== now[kind] && !allowed.includes(kind));
  if (different.length === 0) return;
  throw new TenonError("PLAN_MISMATCH", {
    given: `${folder}: another ${different.join(", ")}`,
    expected: "what the checkpoint was made with, so that it goes on with the same bits",
    do: `start a run in another folder, or name it in allowMismatch: [${different.map((kind) => `"${kind}"`).join(", ")}]`,
    details: { different },
  });
}
