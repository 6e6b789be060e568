/** base: errors, settings, events and small pieces that every layer uses; imports nothing of ours. */
export {
  CONFIG_FILES,
  type ConfigFile,
  type KnobSources,
  loadConfigFile,
  type Origin,
  type ResolvedKnobs,
  resolveKnobs,
} from "./config.js";
export { closest, editDistance, suggest } from "./did-you-mean.js";
export {
  ERROR_CODES,
  type ErrorCode,
  type ErrorParts,
  isTenonError,
  TenonError,
  toTenonError,
} from "./errors.js";
export { type EventMap, type EventName, emit, heard, on } from "./events.js";
export type { Knob } from "./knob-kinds.js";
export { flagOf, KNOB_NAMES, KNOBS, type KnobName, type Knobs, knob, variableOf } from "./knobs.js";
export { LIMIT_NAMES, LIMITS, type Limit, type LimitName, limit } from "./limits.js";
export { makeFolder } from "./make-folder.js";
export {
  formatBytes,
  formatCount,
  formatDuration,
  parseBytes,
  parseCount,
  parseDuration,
} from "./quantity.js";
export { replaceFile } from "./replace-file.js";
export {
  type ByteSource,
  locateZipData,
  readZipDirectory,
  type ZipDirectoryOptions,
  type ZipRecord,
} from "./zip-directory.js";
