/** `tenon doctor` on a folder of an embedder: what its files say and which, and whether its vectors are those that they should be. */
import { isTenonError, type TenonError } from "../base/index.js";
import type { Embedder, Explanation, KnownFiles } from "../embed/index.js";
import { EXIT } from "./exit-codes.js";
import { endWith } from "./failure.js";
import type { Settings } from "./settings.js";
import { print, printJson, styled, table } from "./terminal.js";

/** Ends with EXIT.data where the vectors are others than they should be. */
export async function examineFolder(given: string, { values, json }: Settings): Promise<void> {
  const [{ embedder, isStaticFolder, knownFiles, modelFolder }, { openEngine }] = await Promise.all([
    import("../embed/index.js"),
    import("./engine.js"),
  ]);
  const folder = modelFolder(given);
  await using engine = isStaticFolder(folder) ? undefined : await openEngine(values);
  const open = (verify: boolean): Promise<Embedder> =>
    embedder(given, engine === undefined ? { verify } : { engine, verify });
  let mismatch: TenonError | undefined;
  await using model = await open(true).catch((error: unknown) => {
    if (!isTenonError(error, "GOLDEN_MISMATCH")) throw error;
    mismatch = error;
    return open(false);
  });
  const files = await knownFiles(given, folder);
  const said = model.explain();
  const problem = mismatch?.message;
  if (json) {
    const registry = files && {
      name: files.model.repository,
      same: files.same,
      other: files.other,
      absent: files.absent,
    };
    printJson({ schema: "tenon.doctor-folder/1", folder, ...said, registry, problem });
  } else {
    print(table(rowsOf(said)));
    print(table(checksOf(said, files)));
    if (problem !== undefined) print(`${styled("red", "error")} ${problem}`);
  }
  if (mismatch !== undefined) throw endWith(EXIT.data);
}

/** What the model says of itself, and where. */
function rowsOf(said: Explanation): string[][] {
  const { pooling, dense, normalize, prompts, maxTokens, similarity } = said;
  return [
    ["pooling", pooling.value.join(", "), pooling.from],
    ...dense.map(({ value, from }) => ["dense", value, from]),
    ["normalize", String(normalize.value), normalize.from],
    ["prompts", Object.keys(prompts.value).join(", ") || "none", prompts.from],
    ["longest text", `${maxTokens.value} tokens`, maxTokens.from],
    ["similarity", similarity.value, similarity.from],
    ["vectors", `${said.dims} numbers`, said.graph],
  ];
}

function checksOf(said: Explanation, files: KnownFiles | undefined): string[][] {
  const { golden } = said;
  const rows = [["padding", `${(100 * said.padding).toFixed(1)} % of ${said.texts} texts`]];
  if (golden !== undefined) {
    rows.unshift(
      [
        "vectors",
        golden.least === undefined
          ? "none are known to compare with"
          : `cosine ${golden.least.toFixed(6)} to those of ${golden.from} at least`,
      ],
      [
        "alone and batched",
        `differ by ${golden.alone.toExponential(1)} of their length at most, ${golden.texts} texts`,
      ],
    );
  }
  if (said.batchVariance !== undefined) rows.push(["batches", said.batchVariance]);
  rows.push(["files", files === undefined ? "the registry has no hashes of them" : filesText(files)]);
  return rows;
}

/** How many are as the registry has them, and which are not. */
export function filesText({ model, same, other, absent }: KnownFiles): string {
  const all = same.length + other.length + absent.length;
  return [
    `${same.length} of ${all} as the registry has them for ${model.repository}`,
    ...(other.length === 0 ? [] : [`others: ${other.join(", ")}`]),
    ...(absent.length === 0 ? [] : [`not there: ${absent.join(", ")}`]),
  ].join("; ");
}
