/** `tenon types`: TypeScript declarations of the models of a running server, or of a model file. */
import { writeFileSync } from "node:fs";
import { basename } from "node:path";
import { Command } from "commander";
import { TenonError } from "../base/index.js";
import type { ModelMetadata } from "../client/index.js";
import type { ValueDescription } from "../onnx/index.js";
import { addSettings, resolveSettings } from "./settings.js";
import { note, print, printJson } from "./terminal.js";

interface TypesOptions {
  readonly model?: readonly string[];
  readonly output?: string;
  readonly apiKey?: string;
}

export function typesCommand(): Command {
  const command = new Command("types")
    .description("print TypeScript types of a server's models, for tenon/client")
    .argument("<source>", "address of a server (http://127.0.0.1:8000), or a model file")
    .option("--model <name...>", "only these models; default: all that the server tells of")
    .option("--output <file>", "write there instead of printing")
    .option("--api-key <key>", "sent as Authorization: Bearer; TENON_API_KEY does the same");
  addSettings(command, ["log"]);
  return command.action(async (source: string, options: TypesOptions) => {
    const { json } = await resolveSettings(command);
    const models = /^https?:\/\//.test(source)
      ? await modelsOfServer(source, options)
      : [await modelOfFile(source, options)];
    if (json) {
      printJson({ schema: "tenon.types/1", source, models });
      return;
    }
    const { declareModels } = await import("../client/index.js");
    const text = declareModels(models, source);
    if (options.output === undefined) print(text.trimEnd());
    else {
      writeFileSync(options.output, text);
      note(`${options.output}: ${models.length} model${models.length === 1 ? "" : "s"}`);
    }
  });
}

async function modelsOfServer(url: string, options: TypesOptions): Promise<readonly ModelMetadata[]> {
  const { connect, InferenceError } = await import("../client/index.js");
  const apiKey = options.apiKey ?? process.env.TENON_API_KEY;
  try {
    const client = connect(url, apiKey === undefined ? {} : { apiKey });
    const names = options.model ?? (await readyModels(client));
    if (names.length === 0) {
      throw new TenonError("MODEL_NOT_FOUND", {
        problem: "the server has no model that is ready",
        given: url,
      });
    }
    return await Promise.all(names.map((name) => client.metadata(name)));
  } catch (error) {
    if (!(error instanceof InferenceError)) throw error;
    throw new TenonError("SERVER_FAILED", {
      problem: error.message,
      given: url,
      do:
        error.status === 0
          ? "start the server, or correct the address"
          : "name the models by --model, or give the key by --api-key",
      cause: error,
    });
  }
}

async function readyModels(client: {
  models(): Promise<readonly { readonly name: string; readonly state?: string }[]>;
}): Promise<readonly string[]> {
  const rows = await client.models();
  return [...new Set(rows.filter(({ state }) => state === "READY").map(({ name }) => name))].sort();
}

async function modelOfFile(file: string, options: TypesOptions): Promise<ModelMetadata> {
  const [{ describe }, { openGraph }] = await Promise.all([
    import("../onnx/index.js"),
    import("./open-model.js"),
  ]);
  const { inputs, outputs } = describe(await openGraph(file));
  const name = options.model?.[0] ?? basename(file).replace(/\.(onnx|pt2)$/, "");
  const declare = await declaration(file);
  return {
    name,
    platform: "onnxruntime_onnx",
    inputs: inputs.filter(({ optional }) => !optional).map(declare),
    outputs: outputs.map(declare),
  };
}

async function declaration(
  file: string,
): Promise<(value: ValueDescription) => ModelMetadata["inputs"][number]> {
  const { dtypeInfo } = await import("../tensor/index.js");
  return ({ name, dtype, dims, type }) => {
    const datatype = dtype === null ? null : dtypeInfo(dtype).oip;
    if (datatype === null) {
      throw new TenonError("MODEL_UNSUPPORTED", {
        problem: `the protocol cannot carry "${name}"`,
        given: `${file}: ${type}`,
        expected: "tensors of a dtype that the Open Inference Protocol names",
      });
    }
    return { name, datatype, shape: (dims ?? [-1]).map((dim) => (typeof dim === "number" ? dim : -1)) };
  };
}
