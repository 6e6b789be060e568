/** Pages of docs/guide that are made from tables of the code: error codes, settings, limits and findings. */
import {
  ERROR_CODES,
  flagOf,
  KNOB_NAMES,
  type KnobName,
  knob,
  LIMIT_NAMES,
  limit,
  variableOf,
} from "tenon/base";
import { FINDINGS } from "tenon/onnx";

/** Every page by its file. */
export function tablePages(): Readonly<Record<string, string>> {
  return {
    "docs/guide/errors.md": errorsPage(),
    "docs/guide/settings.md": settingsPage(),
    "docs/guide/limits.md": limitsPage(),
    "docs/guide/findings.md": findingsPage(),
  };
}

/** docs/guide/errors.md. */
export function errorsPage(): string {
  const rows = Object.entries(ERROR_CODES).map(([code, sentence]) => `| \`${code}\` | ${sentence} |`);
  return `# Error codes

Every function of Tenon throws a \`TenonError\`: \`code\` is one of this table and stays the same from version to
version; the message may be reworded. \`given\`, \`expected\` and \`do\` hold its parts, \`details\` machine-readable
facts, \`cause\` the error underneath.

| code | meaning |
|---|---|
${rows.join("\n")}
`;
}

/** docs/guide/settings.md. */
export function settingsPage(): string {
  const rows = KNOB_NAMES.map((name) => {
    const { description, secret } = knob(name);
    return `| ${secret === true ? "" : `\`${flagOf(name)}\``} | \`${variableOf(name)}\` | ${defaultOf(name)} | ${description} |`;
  });
  return `# Settings

One table gives every setting its flag, its environment variable and its key in a config file (the flag in
camel case: \`httpPort\`). Flags win over variables, variables over the file, the file over the defaults;
\`tenon env\` prints each value and where it came from. Sizes and durations carry their unit (\`64MiB\`, \`30s\`).

The config file is \`tenon.config.json\`, \`tenon.config.mjs\` or (Node.js 22.18 and newer) \`tenon.config.ts\` in the
working directory, or the one that \`--config\` names:

\`\`\`js
export default { httpPort: 9000, drain: "10s", warmup: false };
\`\`\`

| flag | variable | default | what it does |
|---|---|---|---|
${rows.join("\n")}
`;
}

/** docs/guide/limits.md. */
export function limitsPage(): string {
  const rows = LIMIT_NAMES.map((name) => {
    const { what, over, code, note } = limit(name);
    const answer = code === undefined ? String(over) : `${over} \`${code}\``;
    const remark = note === undefined ? "" : `, ${note}`;
    return `| ${what} | \`${flagOf(name)}\` | ${defaultOf(name)} | ${answer}${remark} |`;
  });
  return `# Limits

What \`tenon serve\` takes, and what it answers beyond that. The limit itself is allowed, one more is not. Every limit
is a [setting](settings.md), and an option of \`serve\` under the same name in camel case.

| limit | setting | default | over it |
|---|---|---|---|
${rows.join("\n")}
`;
}

/** docs/guide/findings.md. */
export function findingsPage(): string {
  const rows = Object.entries(FINDINGS).map(
    ([code, row]) => `| \`${code}\` | ${row.problem} | ${row.untrusted} | ${row.pinned} | ${row.do} |`,
  );
  return `# Findings

What [\`tenon doctor\`](cli.md#tenon-doctor) and every load look for in a model before ONNX Runtime sees it. An
\`error\` refuses the model. How much a finding weighs depends on how far the model's author is trusted:
\`untrusted\` is the default of \`tenon serve\` and \`tenon doctor\`, \`pinned\` that of \`engine.load\`.
[Reliability](../reliability.md) tells what happens without these checks.

| finding | what it means | untrusted | pinned | what to do |
|---|---|---|---|---|
${rows.join("\n")}
`;
}

/** The default as its text; the cache folder depends on the user and is written as such. */
function defaultOf(name: KnobName): string {
  if (name === "cache") return "`~/.cache/tenon`";
  const row = knob(name);
  const text = row.format(row.default);
  return text === "" ? "none" : `\`${text}\``;
}
