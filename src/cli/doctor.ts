/** `tenon doctor`: what is wrong or dangerous about a model file or an embedder's folder, and what a bug report needs to know of a machine. */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { TenonError } from "../base/index.js";
import type { Advice } from "../doctor/index.js";
import type { Finding, Severity } from "../onnx/index.js";
import { EXIT } from "./exit-codes.js";
import { endWith } from "./failure.js";
import { isEmbedderFolder } from "./open-model.js";
import { addSettings, resolveSettings, type Settings } from "./settings.js";
import { print, printJson, styled, table } from "./terminal.js";

interface DoctorOptions {
  readonly env?: boolean;
}

export function doctorCommand(): Command {
  const command = new Command("doctor")
    .description("examine a model before it is loaded, an embedder's folder, or this machine")
    .argument("[model]", "model file, folder of an embedder, or the name of one that was pulled")
    .option("--env", "print what a bug report needs: versions, processor, limits, pool, cache");
  addSettings(command, ["trust", "cache", "cacheMax", "ortLib", "log"]);
  return command.action(async (file: string | undefined, options: DoctorOptions) => {
    if (file === undefined && !options.env) {
      throw new TenonError("USAGE", { problem: "nothing to examine", do: "give a model file, or --env" });
    }
    const settings = await resolveSettings(command);
    if (options.env) await examineMachine(settings);
    if (file !== undefined) await examine(file, settings);
  });
}

async function examine(path: string, settings: Settings): Promise<void> {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() === true || /\.onnx$/.test(path)) {
    await examineModel(path, settings);
    return;
  }
  const { modelFolder } = await import("../embed/index.js");
  const folder = modelFolder(path);
  const graphs = GRAPHS.map((name) => join(folder, name)).filter((file) => existsSync(file));
  if (!isEmbedderFolder(folder)) {
    if (graphs.length === 0) {
      throw new TenonError("USAGE", {
        problem: "there is nothing here to examine",
        given: path,
        expected: "a model file, or the folder of an embedder (with modules.json, or of model2vec)",
      });
    }
    for (const graph of graphs) await examineModel(graph, settings);
    return;
  }
  // Nothing of a graph is run that would be refused.
  for (const graph of graphs) await examineModel(graph, settings, { quiet: true });
  const { examineFolder } = await import("./doctor-folder.js");
  await examineFolder(path, settings);
}

/** Where folders keep a graph. */
const GRAPHS = ["onnx/model.onnx", "model.onnx"];

/** `quiet`: says nothing of a graph that may be loaded. */
async function examineModel(
  file: string,
  { values, json }: Settings,
  { quiet = false }: { readonly quiet?: boolean } = {},
): Promise<void> {
  const { preflightFile, refusal } = await import("../onnx/index.js");
  const { trust } = values;
  const { findings } = await preflightFile(file, { trust });
  const refused = refusal(findings) !== undefined;
  if (quiet && !refused) return;
  if (json) printJson({ schema: "tenon.doctor/1", file, trust, refused, findings });
  else {
    for (const finding of findings) print(describe(finding));
    print(`${styled("bold", file)}  ${summary(findings, refused, trust)}`);
  }
  if (refused) throw endWith(EXIT.data);
}

const COLOURS = { error: "red", warning: "yellow", note: "cyan" } as const satisfies Record<Severity, string>;

/** A finding as a paragraph of lines. */
function describe({ code, severity, problem, where, given, limit, do: advice }: Finding): string {
  const lines = [`${styled(COLOURS[severity], severity)} ${code}: ${problem}`, `  where:   ${where}`];
  if (given !== "") lines.push(`  given:   ${given}`);
  if (limit !== "") lines.push(`  allowed: ${limit}`);
  return [...lines, `  do:      ${advice}`].join("\n");
}

function summary(findings: readonly Finding[], refused: boolean, trust: string): string {
  const verdict = refused ? styled("red", "refused") : styled("green", "may be loaded");
  const counts = (["error", "warning", "note"] as const).flatMap((severity) => {
    const count = findings.filter((finding) => finding.severity === severity).length;
    return count === 0 ? [] : [`${count} ${severity}${count === 1 ? "" : "s"}`];
  });
  return `${verdict} (${[`author ${trust}`, ...(counts.length === 0 ? ["no findings"] : counts)].join(", ")})`;
}

async function examineMachine({ values, json }: Settings): Promise<void> {
  const [{ openEngine }, { machineFacts }, { watch }] = await Promise.all([
    import("./engine.js"),
    import("./machine-facts.js"),
    import("../doctor/index.js"),
  ]);
  using doctor = watch();
  const facts = await machineFacts(() => openEngine(values));
  const advice = doctor.advice();
  if (json) {
    printJson({ schema: "tenon.doctor-env/1", facts, advice });
    return;
  }
  print(table(Object.entries(facts)));
  for (const { code, message } of advice) print(adviceLine(code, message));
}

function adviceLine(code: Advice["code"], message: string): string {
  return `${styled("yellow", "warning")} ${code}: ${message}`;
}
