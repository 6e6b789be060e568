/** What a sequence begins with: zeros, or the bytes of a file in `initial_state/` beside the configuration. */
import { lstat, readFile } from "node:fs/promises";
import { join } from "node:path";
import { byteLengthOf, type Tensor } from "../../tensor/index.js";
import type { Config, ConfigFile } from "../config/config-file.js";
import { BinarySection } from "../oip/binary.js";
import { dtypeOfType, zeros } from "./zeros.js";

type State = NonNullable<Config["sequence_batching"]>["state"][number];

/** First states by the field that asks for them, without the batch dimension. */
export type InitialStates = ReadonlyMap<State, Tensor>;

const MOST_BYTES = 1 << 28;
const MOST_STRING_BYTES = 1 << 24;

/** Throws CONFIG_INVALID for what is not there or does not fit. */
export async function readInitialStates(file: ConfigFile): Promise<InitialStates> {
  const states = new Map<State, Tensor>();
  for (const state of file.config.sequence_batching?.state ?? []) {
    const [initial, second] = state.initial_state;
    if (initial === undefined) continue;
    if (second !== undefined)
      throw file.invalid("more than one initial_state", "initial_state", state, "one initial_state");
    const dtype = dtypeOfType(initial.data_type);
    if (dtype === undefined || initial.data_type !== state.data_type) {
      const problem = `initial_state is ${initial.data_type}, and the state ${state.data_type}`;
      throw file.invalid(problem, "data_type", initial, `data_type: ${state.data_type}`);
    }
    const dims = initial.dims.map(Number);
    const fits =
      dims.length === state.dims.length &&
      dims.every((dim, i) => dim >= 1 && (Number(state.dims[i]) === -1 || Number(state.dims[i]) === dim));
    if (!fits) {
      const problem = `initial_state has dims [${dims.join(", ")}], and the state [${state.dims.join(", ")}]`;
      throw file.invalid(problem, "dims", initial, "every dim named, as the state has it");
    }
    const first = zeros(dtype, dims);
    states.set(state, initial.data_file === undefined ? first : await fromFile(file, initial, first));
  }
  return states;
}

type Initial = State["initial_state"][number];

async function fromFile(file: ConfigFile, initial: Initial, like: Tensor): Promise<Tensor> {
  const name = initial.data_file ?? "";
  const fail = (problem: string): Error =>
    file.invalid(
      `data_file "${name}" ${problem}`,
      "data_file",
      initial,
      "a file in the folder initial_state",
    );
  if (!/^[A-Za-z0-9_-][A-Za-z0-9._ -]*$/.test(name)) throw fail("is no file name");
  const path = join(file.folder, "initial_state", name);
  const found = await lstat(path).catch(() => undefined);
  if (found?.isFile() !== true || found.size > MOST_BYTES) throw fail("is not there, no file, or too large");
  const bytes = await readFile(path);
  const { dtype, shape, size } = like;
  if (dtype !== "string" && bytes.length !== byteLengthOf(dtype, size))
    throw fail(`has ${bytes.length} bytes for ${byteLengthOf(dtype, size)}`);
  const section = new BinarySection(bytes, file.model, MOST_STRING_BYTES);
  const tensor = section.take("initial_state", dtype, shape, size, bytes.length);
  section.finish();
  return tensor;
}
