/** Settings: precedence, origins, typed values, refusals that name the place, config files of every kind. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type ConfigFile, loadConfigFile, resolveKnobs } from "./config.js";
import { isTenonError } from "./errors.js";
import { flagOf, KNOB_NAMES, knob, variableOf } from "./knobs.js";

async function temporaryFolder(context: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tenon-config-"));
  context.after(() => rm(folder, { recursive: true }));
  return folder;
}

const file = (values: Record<string, unknown>): ConfigFile => ({ path: "/app/tenon.config.json", values });

test("names of flags and variables derive from the setting's name", () => {
  assert.equal(flagOf("httpPort"), "--http-port");
  assert.equal(variableOf("httpPort"), "TENON_HTTP_PORT");
});

test("every default is a value that its own text gives back", () => {
  for (const name of KNOB_NAMES) {
    const row = knob(name);
    assert.deepEqual(row.parse(row.format(row.default)), row.default, name);
    assert.match(row.description, /^[A-Z].*\.$/, name);
  }
});

test("flags win over variables, variables over the file, the file over defaults", () => {
  const sources = {
    flags: { httpPort: "1" },
    env: { TENON_HTTP_PORT: "2", TENON_QUEUE: "3", TENON_LOG: "" },
    file: file({ httpPort: 4, queue: 5, drain: "6s", log: "info" }),
  };
  const { values, origins } = resolveKnobs(sources);
  assert.equal(values.httpPort, 1);
  assert.equal(values.queue, 3);
  assert.equal(values.drain, 6000);
  assert.equal(values.log, "info");
  assert.equal(values.host, "127.0.0.1");
  assert.deepEqual(origins.httpPort, { source: "flag", from: "--http-port" });
  assert.deepEqual(origins.queue, { source: "env", from: "TENON_QUEUE" });
  assert.deepEqual(origins.drain, { source: "file", from: "/app/tenon.config.json" });
  assert.deepEqual(origins.host, { source: "default" });
});

test("values are typed by their kind", () => {
  const { values } = resolveKnobs({
    env: { TENON_LANES: "2", TENON_WARMUP: "off", TENON_CORS_ORIGIN: "https://a.example, https://b.example" },
    file: file({ allowedHosts: ["a", "b"], responseCompression: true, cacheMax: "1.5GiB" }),
  });
  assert.equal(values.lanes, 2);
  assert.equal(values.warmup, false);
  assert.deepEqual(values.corsOrigin, ["https://a.example", "https://b.example"]);
  assert.deepEqual(values.allowedHosts, ["a", "b"]);
  assert.equal(values.responseCompression, true);
  assert.equal(values.cacheMax, 1.5 * 2 ** 30);
});

test("a bad value is refused with the place it came from", () => {
  const bad: [Parameters<typeof resolveKnobs>[0], RegExp][] = [
    [{ flags: { httpPort: "65536" } }, /--http-port.*given: "65536".*from 0 to 65535/],
    [{ env: { TENON_DRAIN: "30" } }, /TENON_DRAIN.*30s/],
    [{ env: { TENON_LOG: "inof" } }, /TENON_LOG.*did you mean "info"/],
    [{ env: { TENON_WARMUP: "constructor" } }, /on or off/],
    [{ file: file({ drain: 30 }) }, /drain in \/app\/tenon.config.json.*as a text/],
    [{ file: file({ queue: -1 }) }, /whole number/],
    [{ file: file({ "http-prt": 1 }) }, /unknown setting.*did you mean "httpPort"/],
  ];
  for (const [sources, expected] of bad) {
    assert.throws(
      () => resolveKnobs(sources),
      (error) => isTenonError(error, "CONFIG_INVALID") && expected.test(error.message),
      String(expected),
    );
  }
});

test("an unknown TENON_ variable is a warning with a suggestion", () => {
  const { warnings } = resolveKnobs({ env: { TENON_HTTP_PROT: "1", TENON_WHATEVER_ELSE: "1", PATH: "/" } });
  assert.deepEqual(warnings, [
    "unknown environment variable TENON_HTTP_PROT; did you mean TENON_HTTP_PORT?",
    "unknown environment variable TENON_WHATEVER_ELSE",
  ]);
});

test("config files: JSON, module, none, absent and broken", async (context) => {
  const folder = await temporaryFolder(context);
  assert.equal(await loadConfigFile({ cwd: folder }), undefined);
  await writeFile(join(folder, "tenon.config.mjs"), "export default { httpPort: 9 };");
  assert.deepEqual((await loadConfigFile({ cwd: folder }))?.values, { httpPort: 9 });
  await writeFile(join(folder, "tenon.config.json"), '{ "httpPort": 10 }');
  assert.deepEqual((await loadConfigFile({ cwd: folder }))?.values, { httpPort: 10 });
  await assert.rejects(loadConfigFile({ cwd: folder, path: "no.json" }), { code: "FILE_NOT_FOUND" });
  await writeFile(join(folder, "broken.json"), "{");
  await writeFile(join(folder, "list.json"), "[]");
  await writeFile(join(folder, "broken.mjs"), "throw new Error('no')");
  for (const path of ["broken.json", "list.json", "broken.mjs"]) {
    await assert.rejects(loadConfigFile({ cwd: folder, path }), { code: "CONFIG_INVALID" }, path);
  }
});

test("a TypeScript config file is run where Node.js can, else refused with the reason", async (context) => {
  const folder = await temporaryFolder(context);
  await writeFile(join(folder, "tenon.config.ts"), "export default { httpPort: 11 as number };");
  const loading = loadConfigFile({ cwd: folder });
  if ((process.features as { typescript?: unknown }).typescript) {
    assert.deepEqual((await loading)?.values, { httpPort: 11 });
  } else {
    await assert.rejects(loading, /TypeScript.*22\.18.*tenon\.config\.mjs/);
  }
});
