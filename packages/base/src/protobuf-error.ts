/** The input is no protobuf of the expected message, or a value does not fit it. Trying again cannot help. */
export class ProtobufError extends Error {
  override name = "ProtobufError";
}
