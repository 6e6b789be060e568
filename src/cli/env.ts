/** `tenon env`: every setting, its value and where it came from, with the versions that a bug report needs. */
import { Command } from "commander";
import { flagOf, KNOB_NAMES, knob, type Origin, variableOf } from "../base/index.js";
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
    };
    if (json) {
      const settings = KNOB_NAMES.map((name) => ({
        name,
        value: values[name],
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

function describeOrigin({ source, from }: Origin): string {
  return from === undefined || source === "default" ? source : `${source} ${from}`;
}
