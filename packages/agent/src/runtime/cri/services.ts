import { protobufCodec, type ProtobufCodec, type ProtobufInput } from "@skerry/base";
import containerdTable from "./gen/containerd.json" with { type: "json" };
import type { Messages as ContainerdMessages } from "./gen/containerd.ts";
import criTable from "./gen/cri.json" with { type: "json" };
import type { Messages as CriMessages } from "./gen/cri.ts";
import type { CallOptions, GrpcClient } from "./grpc-client.ts";

/** CRI's methods, each with messages named after it. */
type CriMethod = {
  [M in keyof CriMessages]: M extends `${infer Name}Request`
    ? `${Name}Response` extends keyof CriMessages
      ? Name
      : never
    : never;
}[keyof CriMessages];

export type CriRequest<M extends CriMethod> = ProtobufInput<CriMessages[`${M}Request`]>;
export type CriResponse<M extends CriMethod> = CriMessages[`${M}Response`];

/** Calls the methods of CRI v1. */
export interface CriServices {
  call<M extends CriMethod>(method: M, request: CriRequest<M>, options: CallOptions): Promise<CriResponse<M>>;
  /** `GetContainerEvents`; runtimes before containerd 1.7 answer `Unimplemented`. */
  containerEvents(options: CallOptions): AsyncGenerator<CriMessages["ContainerEventResponse"]>;
}

const IMAGE_METHODS: ReadonlySet<string> = new Set([
  "ListImages",
  "ImageStatus",
  "PullImage",
  "RemoveImage",
  "ImageFsInfo",
]);

export function criServices(client: GrpcClient): CriServices {
  const codec: ProtobufCodec<CriMessages> = protobufCodec<CriMessages>(criTable);
  return {
    async call(method, request, options) {
      const service = IMAGE_METHODS.has(method) ? "ImageService" : "RuntimeService";
      const bytes = codec.encode<`${typeof method}Request`>(`${method}Request`, request);
      const answer = await client.unary(`/runtime.v1.${service}/${method}`, bytes, options);
      return codec.decode<`${typeof method}Response`>(`${method}Response`, answer);
    },
    async *containerEvents(options) {
      const request = codec.encode("GetEventsRequest", {});
      for await (const bytes of client.serverStream("/runtime.v1.RuntimeService/GetContainerEvents", request, options))
        yield codec.decode("ContainerEventResponse", bytes);
    },
  };
}

/** The namespace in which CRI keeps its containers and images within containerd. */
export const CRI_NAMESPACE = "k8s.io";

export const containerdCodec = (): ProtobufCodec<ContainerdMessages> =>
  protobufCodec<ContainerdMessages>(containerdTable);
