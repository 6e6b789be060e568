/** `tenon env`: every setting, its value and where it came from, with the versions that a bug report needs. */
import { Command } from "commander";
import {
  flagOf,
  KNOB_NAMES,
  type Knobs,
  knob,
  type Origin,
  toTenonError,
  variableOf,
} from "../base/index.js";
import { addSettings, resolveSettings } from "./settings.js";
import { print, printJson, styled, table } from "./terminal.js";
import { packageVersion } from "./version.js";

export function envCommand(): Command {
  const command = new Command("env").description("print every setting, its value and where it came from");
  return addSettings(command, KNOB_NAMES).action(async () => {
    const { values, origins, json } = await resolveSettings(command);
    const versions = {
      tenon: packageVersion(),
      node: process.versions.node,
      platform: `${process.platform}-${process.arch}`,
      ...(await engineFacts(values)),
    };
    if (json) {
      const settings = KNOB_NAMES.map((name) => ({
        name,
        value: knob(name).secret === true ? knob(name).format(values[name]) : values[name],
        text: knob(name).format(values[name]),
        ...origins[name],
        flag: flagOf(name),
        variable: variableOf(name),
      }));
      printJson({ schema: "tenon.env/1", versions, settings });
      return;
    }
    const rows = KNOB_NAMES.map((name) => [
      flagOf(name).slice(2),
      knob(name).format(values[name]) || "none",
      describeOrigin(origins[name]),
    ]);
    print(table(Object.entries(versions)));
    print("");
    for (const line of table(rows).split("\n")) {
      print(line.endsWith("default") ? line : styled("bold", line));
    }
  });
}

/** What the native library is and what it may use; a bug report also needs to know that it cannot be loaded. */
async function engineFacts(values: Knobs): Promise<Record<string, string>> {
  const { openEngine } = await import("./engine.js");
  try {
    await using engine = await openEngine({ ...values, cache: "off" });
    const { cores, lanes } = engine.capacity;
    return { onnxruntime: engine.runtimeVersion, cores: String(cores), lanes: String(lanes) };
  } catch (error) {
    const { code, problem } = toTenonError(error);
    return { onnxruntime: `not usable (${code}: ${problem})` };
  }
}

function describeOrigin({ source, from }: Origin): string {
  return from === undefined || source === "default" ? source : `${source} ${from}`;
}
