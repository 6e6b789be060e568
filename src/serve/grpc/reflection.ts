/** Server reflection: which services there are, and what their messages look like (grpc.reflection.v1 and v1alpha). */
import { many, message, one, oneOf } from "../protobuf/table.js";
import { type DescribedFile, type DescribedMethod, describeFiles } from "./descriptors.js";
import { messageStream, type StreamMethod } from "./message-stream.js";
import { GRPC } from "./status.js";

const ExtensionRequest = message("ExtensionRequest", {
  containing_type: one(1, "string"),
  extension_number: one(2, "int32"),
});
const ServerReflectionRequest = message("ServerReflectionRequest", {
  host: one(1, "string"),
  file_by_filename: oneOf(3, "string", "message_request"),
  file_containing_symbol: oneOf(4, "string", "message_request"),
  file_containing_extension: oneOf(5, ExtensionRequest, "message_request"),
  all_extension_numbers_of_type: oneOf(6, "string", "message_request"),
  list_services: oneOf(7, "string", "message_request"),
});
const ServerReflectionResponse = message("ServerReflectionResponse", {
  valid_host: one(1, "string"),
  original_request: one(2, ServerReflectionRequest),
  file_descriptor_response: oneOf(
    4,
    message("FileDescriptorResponse", { file_descriptor_proto: many(1, "bytes") }),
    "message_response",
  ),
  all_extension_numbers_response: oneOf(
    5,
    message("ExtensionNumberResponse", {
      base_type_name: one(1, "string"),
      extension_number: many(2, "int32"),
    }),
    "message_response",
  ),
  list_services_response: oneOf(
    6,
    message("ListServiceResponse", {
      service: many(1, message("ServiceResponse", { name: one(1, "string") })),
    }),
    "message_response",
  ),
  error_response: oneOf(
    7,
    message("ErrorResponse", { error_code: one(1, "int32"), error_message: one(2, "string") }),
    "message_response",
  ),
});

const PATHS = ["v1", "v1alpha"].map(
  (version) => `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
);

/** Both versions of the service, which describe `methods` and themselves. */
export function reflection(methods: readonly DescribedMethod[]): readonly StreamMethod[] {
  const own = PATHS.map(
    (path): DescribedMethod => ({
      path,
      request: ServerReflectionRequest,
      response: ServerReflectionResponse,
      clientStreams: true,
      serverStreams: true,
    }),
  );
  let described: readonly DescribedFile[] | undefined;
  const files = (): readonly DescribedFile[] => {
    described ??= describeFiles([...methods, ...own]);
    return described;
  };
  const find = (holds: (file: DescribedFile) => boolean): readonly Buffer[] | undefined => {
    const file = files().find(holds);
    return file === undefined ? undefined : [file.bytes];
  };
  return PATHS.map((path) =>
    messageStream(
      { path, clientStreams: true },
      ServerReflectionRequest,
      ServerReflectionResponse,
      (call, send) => ({
        asked: (asked) => {
          const answer = { valid_host: asked.host, original_request: asked };
          const { file_by_filename: name, file_containing_symbol: symbol } = asked;
          if (asked.list_services !== undefined) {
            const service = files().flatMap(({ services }) => services.map((each) => ({ name: each })));
            send({ ...answer, list_services_response: { service } });
            return;
          }
          const found =
            name === undefined
              ? symbol === undefined
                ? undefined
                : find(({ symbols }) => symbols.has(symbol))
              : find((file) => file.name === name);
          if (found !== undefined)
            send({ ...answer, file_descriptor_response: { file_descriptor_proto: found } });
          else {
            const what = name ?? symbol ?? "such a thing";
            const error = { error_code: GRPC.notFound, error_message: `not found: ${what.slice(0, 200)}` };
            send({ ...answer, error_response: error });
          }
        },
        ended: () => call.finish(),
      }),
    ),
  );
}
