/** base: errors, settings, events and small pieces that every layer uses; imports nothing of ours. */
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
export {
  formatBytes,
  formatCount,
  formatDuration,
  parseBytes,
  parseCount,
  parseDuration,
} from "./quantity.js";
