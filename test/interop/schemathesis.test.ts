/** schemathesis, which makes requests of the OpenAPI document, against the real command with both kinds of models. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { promisify } from "node:util";
import { collect, firstLine, startCli } from "../support/cli.js";
import { serveRepository } from "../support/repository.js";
import { simpleModel } from "../support/served.js";
import { saveTinyCrossEncoder, saveTinyEmbedder } from "../support/tiny-embedder.js";

const CHECKS = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_schema_conformance",
];

/** Refusals that are meant: what a server does not support or has turned off. */
const CONFIG = `
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 501, 503]
`;

/** A model that stays loaded while another one comes and goes; one that is not there is answered with 500, as Triton does. */
const REPOSITORY = `${CONFIG}
[parameters]
"path.model" = "simple"
"path.version" = "1"

[[operations]]
include-path-regex = "/(load|unload)$"
parameters = { "path.model" = "guest" }

[[operations]]
include-path = "/v2/repository/models/{model}/load"
checks = { not_a_server_error = { expected-statuses = ["2xx", "4xx", 500] } }
`;

const TEXTS = `${CONFIG}
[parameters]
"path.model" = "tiny-embedder"

[[operations]]
include-path-regex = "^/(embed|embed_all|similarity|info|tokenize|decode)$"
parameters = { "query.model" = "tiny-embedder" }

[[operations]]
include-path-regex = "^/(rerank|predict)$"
parameters = { "query.model" = "tiny-reranker" }
`;

/** Runs it within its limits; the number of routes that were tried. Throws with its report when a check fails. */
async function explore(url: string, config: string, ...args: readonly string[]): Promise<number> {
  const cwd = mkdtempSync(join(tmpdir(), "tenon-schemathesis-"));
  try {
    writeFileSync(join(cwd, "schemathesis.toml"), config);
    const { stdout } = await promisify(execFile)(
      join(process.env.TENON_INTEROP!, "clients/bin/schemathesis"),
      [
        ...["run", `${url}/openapi.json`, "--checks", CHECKS.join(",")],
        ...["--phases", "examples,coverage,fuzzing", "--max-examples", "8", "--seed", "1"],
        ...[
          "--warnings",
          "off",
          "--generation-database",
          "none",
          "--generation-with-security-parameters",
          "false",
          "--request-timeout",
          "20",
          ...args,
        ],
      ],
      { cwd, timeout: 150_000, maxBuffer: 2 ** 26 },
    ).catch((error: { stdout?: string; message: string }) => {
      throw new Error(`${error.message}\n${error.stdout ?? ""}`);
    });
    return Number(/Tested: (\d+)/.exec(stdout)?.[1]);
  } finally {
    rmSync(cwd, { recursive: true });
  }
}

interface Statistics {
  readonly model_stats: readonly [
    { readonly inference_stats: { readonly success: { readonly count: number } } },
  ];
}

it("finds no answer of the protocol's routes that the document does not have", async () => {
  await using served = await serveRepository(
    {
      "simple/1/model.onnx": simpleModel(),
      "simple/2/model.onnx": simpleModel(),
      "simple/config.pbtxt": "version_policy { specific { versions: 1 } }",
      "guest/1/model.onnx": simpleModel(),
    },
    ...["--model-control", "explicit", "--load-model", "simple", "--extensions"],
    "trace,logging,system_shared_memory",
  );
  const { url } = served.ready;
  assert.ok((await explore(url, REPOSITORY, "--include-path-regex", "^/(v2|metrics|openapi)")) >= 40);
  const { model_stats } = (await served.get("/v2/models/simple/versions/1/stats")) as Statistics;
  assert.ok(model_stats[0].inference_stats.success.count > 0);
});

it("finds no answer of the routes of texts, behind a key, that the document does not have", async () => {
  const cwd = mkdtempSync(join(tmpdir(), "tenon-schemathesis-texts-"));
  await saveTinyEmbedder(join(cwd, "models/tiny-embedder"), {});
  await saveTinyCrossEncoder(join(cwd, "models/tiny-reranker"));
  const ports = ["--http-port", "0", "--grpc-port", "off", "--metrics-port", "off"];
  const child = startCli(["serve", "models", ...ports, "--isolation", "inline", "--json"], {
    cwd,
    env: { TENON_CACHE: "off", TENON_API_KEY: "key-of-the-test" },
  });
  const log = collect(child.stderr);
  try {
    const { url } = JSON.parse(await firstLine(child)) as { url: string };
    const key = ["--header", "Authorization: Bearer key-of-the-test"];
    assert.ok((await explore(url, TEXTS, "--exclude-path-regex", "^/v2", ...key)) >= 15);
    // Every refusal is the client's: the log tells of failures, and there were none.
    assert.doesNotMatch(log(), /"level":"error"/);
  } finally {
    child.kill("SIGTERM");
    await once(child, "close");
    rmSync(cwd, { recursive: true });
  }
});
