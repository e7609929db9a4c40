import path from "node:path";
import type { Clock } from "@skerry/base";
import type { StreamHandler, StreamRequest, StreamResponse } from "@skerry/wire";
import type { CachedPod } from "../cache/edge-cache.ts";
import type { PodFacts } from "../pods/facts.ts";
import { containerLog, podLogDir, type PodPaths } from "../pods/paths.ts";
import { readLog, type LogOptions } from "./read-log.ts";

export interface KubeletApiOptions {
  podNamed: (namespace: string, name: string) => CachedPod | undefined;
  facts: (uid: string) => PodFacts | undefined;
  paths: PodPaths;
  clock: Clock;
}

/**
 * The node's side of the kubelet's HTTP API: `GET /containerLogs/{namespace}/{pod}/{container}`. Refusals are worded as a kubelet
 * words them, for clients show them as they are.
 */
export function kubeletApi(options: KubeletApiOptions): StreamHandler {
  return async (request, signal) => {
    const url = new URL(request.path, "http://node");
    const [, route, ...parts] = url.pathname.split("/").map((part) => decodeURIComponent(part));
    if (route === "containerLogs" && parts.length === 3) return containerLogs(options, request, url, parts, signal);
    if (["exec", "attach", "portForward", "run"].includes(route ?? "")) {
      return text(501, `${route ?? ""} is not supported by this node yet`);
    }
    return text(404, "404 page not found");
  };
}

async function containerLogs(
  options: KubeletApiOptions,
  { method }: StreamRequest,
  url: URL,
  [namespace = "", name = "", container = ""]: string[],
  signal: AbortSignal,
): Promise<StreamResponse> {
  if (method !== "GET") return text(405, "method not allowed");
  const { clock, paths } = options;
  const wanted = parseOptions(url.searchParams, clock.now());
  if (typeof wanted === "string") return text(400, wanted);
  const cached = options.podNamed(namespace, name);
  if (!cached) return text(404, `pod "${name}" not found`);
  const { pod } = cached;
  if (!pod.spec?.containers.some((one) => one.name === container)) {
    return text(400, `container ${container} is not valid for pod ${name}`);
  }
  const uid = pod.metadata.uid ?? "";
  const found = instanceOf(options.facts(uid), container, name, url.searchParams.get("previous") === "true");
  if (typeof found === "string") return text(400, found);

  const file = path.join(podLogDir(paths, pod), containerLog(container, found.attempt));
  const isLive = (): boolean => {
    const now = options.facts(uid)?.containers[container];
    return now !== undefined && now.attempt === found.attempt && now.ended === undefined;
  };
  return {
    status: 200,
    headers: { "content-type": "text/plain" },
    body: readLog({ file, isLive }, wanted, { clock, signal }),
  };
}

/** Which instance's log is meant, or why there is none. */
function instanceOf(
  facts: PodFacts | undefined,
  container: string,
  podName: string,
  previous: boolean,
): { attempt: number } | string {
  const known = facts?.containers[container];
  const state = facts?.status?.containerStatuses?.find((one) => one.name === container)?.state;
  if (previous) {
    if (!known || (!known.last && !known.ended)) {
      return `previous terminated container "${container}" in pod "${podName}" not found`;
    }
    // One that ended and waits to be restarted is the previous one already.
    if (known.ended && state?.waiting) return { attempt: known.attempt };
    if (known.last) return { attempt: known.attempt - 1 };
    return `previous terminated container "${container}" in pod "${podName}" not found`;
  }
  if (known && (known.startedAtMs > 0 || known.ended)) return { attempt: known.attempt };
  const reason = state?.waiting?.reason ?? "ContainerCreating";
  const why =
    reason === "ErrImagePull"
      ? "image can't be pulled"
      : reason === "ImagePullBackOff"
        ? "trying and failing to pull image"
        : reason;
  return `container "${container}" in pod "${podName}" is waiting to start: ${why}`;
}

/** Reads PodLogOptions from a query; a string says what is wrong with them. */
function parseOptions(query: URLSearchParams, nowMs: number): LogOptions | string {
  const number = (name: string, least: number): number | undefined | string => {
    const value = query.get(name);
    if (value === null || value === "") return undefined;
    const parsed = Number(value);
    if (!Number.isInteger(parsed) || parsed < least)
      return `Invalid value "${value}" for ${name}: must be at least ${least}`;
    return parsed;
  };
  const tailLines = number("tailLines", 0);
  const limitBytes = number("limitBytes", 1);
  const sinceSeconds = number("sinceSeconds", 1);
  for (const value of [tailLines, limitBytes, sinceSeconds]) if (typeof value === "string") return value;
  const sinceTime = query.get("sinceTime");
  const sinceMs = sinceTime === null || sinceTime === "" ? undefined : Date.parse(sinceTime);
  if (Number.isNaN(sinceMs)) return `Invalid value "${sinceTime ?? ""}" for sinceTime: must be a time as in RFC 3339`;
  const stream = query.get("stream")?.toLowerCase();
  return {
    follow: isTrue(query.get("follow")),
    timestamps: isTrue(query.get("timestamps")),
    tailLines: tailLines as number | undefined,
    limitBytes: limitBytes as number | undefined,
    sinceMs: typeof sinceSeconds === "number" ? nowMs - sinceSeconds * 1000 : sinceMs,
    stream: stream === "stdout" || stream === "stderr" ? stream : undefined,
  };
}

const isTrue = (value: string | null): boolean => value === "true" || value === "1";

const text = (status: number, message: string): StreamResponse => ({
  status,
  headers: { "content-type": "text/plain; charset=utf-8" },
  body: (async function* () {
    yield Buffer.from(`${message}\n`);
  })(),
});
