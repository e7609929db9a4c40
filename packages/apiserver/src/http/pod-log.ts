import { badRequest, notFound, StatusError, type Encoded, type KubeObject } from "@skerry/machinery";
import type { NodeStreams } from "../node-streams.ts";
import { setCommonHeaders } from "./answer.ts";
import { writable, type Exchange } from "./exchange.ts";

/** What of a pod decides whether, and from where, a log can be had. */
interface LoggedPod extends KubeObject {
  spec?: {
    nodeName?: string;
    containers?: { name: string }[];
    initContainers?: { name: string }[];
    ephemeralContainers?: { name: string }[];
  };
  status?: { containerStatuses?: ContainerStatus[]; initContainerStatuses?: ContainerStatus[] };
}

interface ContainerStatus {
  name: string;
  state?: { waiting?: { reason?: string; message?: string } };
  lastState?: { terminated?: object };
}

/** Options of core/v1 `PodLogOptions` that the node carries out. */
const FORWARDED = ["follow", "previous", "sinceSeconds", "sinceTime", "tailLines", "timestamps", "limitBytes"];
const COUNTS = ["sinceSeconds", "tailLines", "limitBytes"];
const FLAGS = ["follow", "previous", "timestamps"];
/** States in which a container has no log yet, whatever the node would say. */
const NOT_STARTED = new Set([
  "ContainerCreating",
  "PodInitializing",
  "ErrImagePull",
  "ImagePullBackOff",
  "InvalidImageName",
]);
const PODS = { group: "", resource: "pods" };

/** Answers `GET …/pods/{name}/log`: the container's log as its node sends it, no faster than the client reads. */
export async function answerPodLog(exchange: Exchange, nodes: NodeStreams, pod: Encoded): Promise<void> {
  const { query, response, signal } = exchange;
  const { spec = {}, status = {}, metadata } = pod.decode() as LoggedPod;
  const { name = "", namespace = "" } = metadata;
  const container = chooseContainer(name, spec, query.get("container") ?? "");
  const options = forwardedOptions(query);
  if (spec.nodeName === undefined || spec.nodeName === "")
    throw badRequest(`pod ${name} does not have a host assigned`);
  refuseNotStarted(name, container, status, options.get("previous") === "true");

  const path = ["", "containerLogs", namespace, name, container].map(encodeURIComponent).join("/");
  const answer = await nodes.request(
    spec.nodeName,
    { method: "GET", path: options.size > 0 ? `${path}?${options.toString()}` : path },
    signal,
  );
  if (answer.status >= 400) throw await refusal(answer.status, answer.body, { name, container });
  response.setHeader("content-type", answer.headers["content-type"] ?? "text/plain");
  setCommonHeaders(exchange);
  response.writeHead(answer.status);
  response.flushHeaders();
  for await (const chunk of answer.body) {
    if (response.destroyed === true) return;
    if (!response.write(chunk)) await writable(response);
  }
  response.end();
}

function chooseContainer(pod: string, spec: NonNullable<LoggedPod["spec"]>, wanted: string): string {
  const namesOf = (list: readonly { name: string }[] | undefined): string[] => (list ?? []).map(({ name }) => name);
  const own = namesOf(spec.containers);
  const init = namesOf(spec.initContainers);
  const all = [...own, ...init, ...namesOf(spec.ephemeralContainers)];
  if (wanted !== "") {
    if (!all.includes(wanted)) throw badRequest(`container ${wanted} is not valid for pod ${pod}`);
    return wanted;
  }
  const [only] = own;
  if (own.length === 1 && only !== undefined) return only;
  const orInit = init.length > 0 ? ` or one of the init containers: [${init.join(" ")}]` : "";
  throw badRequest(`a container name must be specified for pod ${pod}, choose one of: [${own.join(" ")}]${orInit}`);
}

function refuseNotStarted(
  pod: string,
  container: string,
  status: NonNullable<LoggedPod["status"]>,
  previous: boolean,
): void {
  const all = [...(status.containerStatuses ?? []), ...(status.initContainerStatuses ?? [])];
  const own = all.find(({ name }) => name === container);
  const waiting = own?.state?.waiting?.reason;
  // A container that ran before keeps its last log while it waits to start again.
  if (own && waiting !== undefined && NOT_STARTED.has(waiting) && own.lastState?.terminated === undefined)
    throw badRequest(
      `container ${JSON.stringify(container)} in pod ${JSON.stringify(pod)} is waiting to start: ` +
        (waiting === "ContainerCreating" || waiting === "PodInitializing" ? waiting : notPullable(waiting, own)),
    );
  if (previous && own !== undefined && own.lastState?.terminated === undefined)
    throw badRequest(
      `previous terminated container ${JSON.stringify(container)} in pod ${JSON.stringify(pod)} not found`,
    );
}

const notPullable = (reason: string, status: ContainerStatus): string =>
  reason === "InvalidImageName" ? (status.state?.waiting?.message ?? reason) : "trying and failing to pull image";

function forwardedOptions(query: URLSearchParams): URLSearchParams {
  const options = new URLSearchParams();
  for (const name of FORWARDED) {
    const value = query.get(name);
    if (value === null || value === "") continue;
    if (COUNTS.includes(name) && !/^\d{1,15}$/.test(value))
      throw badRequest(`Cannot read ${name}: ${JSON.stringify(value)} is not a whole number of at least 0`);
    if (FLAGS.includes(name)) {
      if (value !== "false" && value !== "0") options.set(name, "true");
    } else {
      options.set(name, value);
    }
  }
  if (options.has("sinceSeconds") && options.has("sinceTime"))
    throw badRequest("at most one of `sinceTime` or `sinceSeconds` may be specified");
  return options;
}

/** The node's refusal in the API's words. Only the beginning of its body is read. */
async function refusal(
  status: number,
  body: AsyncIterable<Uint8Array>,
  { name, container }: { name: string; container: string },
): Promise<StatusError> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > 4096) break;
  }
  const text = Buffer.concat(chunks).toString("utf8").slice(0, 1024).trim();
  if (status === 404) return text === "" ? notFound(PODS, name) : new StatusError("NotFound", text);
  return StatusError.fromStatus(
    {
      kind: "Status",
      code: status,
      message: text || `The node refused the log of container ${container} with the HTTP code ${status}`,
    },
    status,
  );
}
