/** gRPC's status of every error code, and statuses as trailers. */
import type { ErrorCode } from "../../base/index.js";
import { STATUS } from "../http/status.js";

export const GRPC = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

/** What the HTTP status of a code is in gRPC. */
const BY_HTTP_STATUS: Readonly<Record<number, number>> = {
  400: GRPC.invalidArgument,
  401: GRPC.unauthenticated,
  403: GRPC.permissionDenied,
  404: GRPC.notFound,
  405: GRPC.unimplemented,
  408: GRPC.deadlineExceeded,
  413: GRPC.resourceExhausted,
  429: GRPC.resourceExhausted,
  499: GRPC.cancelled,
  500: GRPC.internal,
  501: GRPC.unimplemented,
  503: GRPC.unavailable,
  504: GRPC.deadlineExceeded,
};

/** The status of a code: that of its HTTP status. */
export function grpcStatus(code: ErrorCode): number {
  return BY_HTTP_STATUS[STATUS[code]] ?? GRPC.unknown;
}

/** Longest text of a status: headers have a limit at the client too. */
const LONGEST_TEXT = 2048;

/** `grpc-message` as it travels: everything that is not printable ASCII, and the percent sign, as percent and hex. */
export function percentEncoded(text: string): string {
  let encoded = "";
  for (const byte of Buffer.from(text.slice(0, LONGEST_TEXT))) {
    encoded +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}

const UNITS: Readonly<Record<string, number>> = { n: 1e-6, u: 1e-3, m: 1, S: 1000, M: 60_000, H: 3_600_000 };

/** Milliseconds of a `grpc-timeout` header; undefined when it is absent or malformed. */
export function timeoutOf(header: string | string[] | undefined): number | undefined {
  const match = /^([0-9]{1,8})([numSMH])$/.exec(String(header ?? ""));
  return match === null ? undefined : Number(match[1]) * UNITS[match[2]!]!;
}
