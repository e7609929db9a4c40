import type { Clock } from "@skerry/base";
import type { DeleteOptions, Selection } from "@skerry/client";
import { exactFieldValue, methodNotAllowed, parseFieldSelector, type ObjectKey } from "@skerry/machinery";
import type { Api, Resource, Subresource, Verb } from "../api.ts";
import { demand, type Authorizer } from "../auth/authorizer.ts";
import type { NodeStreams } from "../node-streams.ts";
import type { RequestContext } from "../request.ts";
import { JSON_TYPE, send, sendJson, sendObject } from "./answer.ts";
import { readBody } from "./body.ts";
import { decodeDeleteOptions, decodeObject, decodePatch, type Body, type ExpectedKind } from "./decode.ts";
import { notBuiltYet, notServed, sendNotFound } from "./not-found.ts";
import type { Exchange } from "./exchange.ts";
import { listPieces, objectBytes } from "./forms.ts";
import { negotiateForm, type AnswerForm } from "./negotiate.ts";
import {
  readDeleteOptions,
  readForce,
  readListOptions,
  readSelection,
  readWatchOptions,
  readWriteQuery,
  wantsWatch,
  type WriteQuery,
} from "./options.ts";
import { answerPodLog } from "./pod-log.ts";
import type { ResourcePath } from "./request-path.ts";
import { readRowObject } from "./table.ts";
import { answerWatch } from "./watch-answer.ts";
import type { WatchRounds } from "./watch-rounds.ts";
import type { WatchLines } from "./watch.ts";
import type { YamlReader } from "./yaml-reader.ts";

export interface ResourceHandlerOptions {
  api: Api;
  authorizer: Authorizer;
  nodeStreams: NodeStreams;
  clock: Clock;
  random: () => number;
  lines: WatchLines;
  rounds: WatchRounds;
  yaml: YamlReader;
  /** Aborts when the server stops: watches end, everything else goes on to its end. */
  stopping: AbortSignal;
}

/** A request whose resource is found, and that is allowed. */
interface Call {
  readonly exchange: Exchange;
  readonly resource: Resource;
  readonly subresource: Subresource | undefined;
  readonly key: ObjectKey;
  readonly options: ResourceHandlerOptions;
}

/** Subresources that every client knows and Skerry does not have yet, by resource of the core group. */
const UNBUILT: Readonly<Record<string, readonly string[]>> = {
  pods: ["exec", "attach", "portforward", "proxy", "ephemeralcontainers", "resize"],
  nodes: ["proxy"],
};

/** What a request is for, as authorization and metrics name it. Undefined: no verb goes with the method here. */
export function verbOf(method: string, path: ResourcePath, query: URLSearchParams): Verb | undefined {
  const onItem = path.name !== "";
  switch (method) {
    case "GET":
    case "HEAD":
      if (path.watch) return "watch";
      if (onItem) return "get";
      return wantsWatch(query) ? "watch" : "list";
    case "POST":
      return "create";
    case "PUT":
      return "update";
    case "PATCH":
      return "patch";
    case "DELETE":
      return onItem ? "delete" : "deletecollection";
    default:
      return undefined;
  }
}

/** Answers a request for objects: authorizes it, finds the resource and does what the verb says. */
export async function answerResource(
  options: ResourceHandlerOptions,
  exchange: Exchange,
  path: ResourcePath,
): Promise<void> {
  const { api, authorizer } = options;
  const { user, method, query } = exchange;
  const { group, version, resource: plural, namespace, subresource: sub } = path;
  const verb = verbOf(method, path, query);
  const name = path.name === "" ? nameInSelector(verb, query) : path.name;
  const attributes = { group, version, resource: plural, subresource: sub, namespace, name };
  demand(authorizer, user, { ...attributes, verb: verb ?? method.toLowerCase() });

  const resource = api.find(group, version, plural);
  if (!resource) throw notServed(path);
  const isCluster = !resource.kind.namespaced;
  // An object of the cluster is in no namespace, and a namespaced one in exactly one: other paths name nothing.
  const isNamespaceItself = group === "" && plural === "namespaces";
  if (isCluster && namespace !== "" && !isNamespaceItself) return sendNotFound(exchange);
  if (!isCluster && namespace === "" && path.name !== "") return sendNotFound(exchange);
  const subresource = resource.subresources.find((candidate) => candidate.name === sub);
  if (sub !== "" && subresource === undefined) {
    if (group === "" && UNBUILT[plural]?.includes(sub)) throw notBuiltYet(resource.kind, sub);
    return sendNotFound(exchange);
  }
  const verbs = subresource?.verbs ?? resource.verbs;
  if (verb === undefined || !verbs.includes(verb)) throw methodNotAllowed(resource.kind, verb ?? method);

  const key = { namespace: isCluster ? "" : namespace, name: path.name };
  const call: Call = { exchange, resource, subresource, key, options };
  switch (verb) {
    case "get":
      return get(call);
    case "list":
      return list(call);
    case "watch":
      return watch(call);
    case "create":
      if (!isCluster && namespace === "") throw methodNotAllowed(resource.kind, verb);
      return create(call);
    case "update":
      return update(call);
    case "patch":
      return patch(call);
    case "delete":
      return remove(call);
    case "deletecollection":
      return removeCollection(call);
  }
}

/** A selector that names one object makes the request one about that object, so that a role with resourceNames allows it. */
function nameInSelector(verb: Verb | undefined, query: URLSearchParams): string {
  // What is created is in the body, whatever a selector says.
  if (verb === "create") return "";
  return exactFieldValue(parseFieldSelector(query.get("fieldSelector") ?? ""), "metadata.name") ?? "";
}

async function get(call: Call): Promise<void> {
  const { exchange, resource, subresource, key, options } = call;
  const form = formOf(call);
  const context = contextOf(call, READ);
  if (subresource?.stream) {
    const parent = await options.api.get(context, resource, key);
    return answerPodLog(exchange, options.nodeStreams, parent);
  }
  const object = await options.api.get(context, resource, key, subresource?.name);
  await sendOne(call, 200, object, form);
}

async function list(call: Call): Promise<void> {
  const { exchange, resource, options } = call;
  const form = formOf(call);
  const query = readListOptions(exchange.query, selectionOf(call));
  const found = await options.api.list(contextOf(call, READ), resource, { ...query, signal: exchange.signal });
  const pieces = listPieces(resource, found, form, readRowObject(exchange.query), options.clock.now());
  await send(exchange, 200, JSON_TYPE, pieces);
}

async function watch(call: Call): Promise<void> {
  const { exchange, resource, options, key } = call;
  const form = formOf(call);
  const selection = selectionOf(call);
  // The old form may name one object in its path.
  const selector = key.name === "" ? {} : { fieldSelector: `metadata.name=${key.name}` };
  const { timeoutSeconds, ...query } = readWatchOptions(exchange.query, { ...selection, ...selector }, exchange.signal);
  await answerWatch({
    exchange,
    resource,
    form: { form, row: readRowObject(exchange.query) },
    timeoutSeconds,
    clock: options.clock,
    random: options.random,
    lines: options.lines,
    rounds: options.rounds,
    stopping: options.stopping,
    open: (signal) => options.api.watch(contextOf(call, READ), resource, { ...query, signal }),
  });
}

async function create(call: Call): Promise<void> {
  const { resource, subresource, key, options } = call;
  const form = formOf(call);
  const query = writeQueryOf(call, "CreateOptions");
  const body = await decodeFrom(call, query);
  const object = await options.api.create(contextOf(call, query), resource, {
    namespace: key.namespace,
    body,
    ...(key.name !== "" && { name: key.name }),
    ...(subresource && { subresource: subresource.name }),
  });
  await sendOne(call, 201, object, form);
}

async function update(call: Call): Promise<void> {
  const { resource, subresource, key, options } = call;
  const form = formOf(call);
  const query = writeQueryOf(call, "UpdateOptions");
  const body = await decodeFrom(call, query);
  const { object, created } = await options.api.update(changeContextOf(call, query), resource, key, {
    body,
    ...(subresource && { subresource: subresource.name }),
  });
  await sendOne(call, created ? 201 : 200, object, form);
}

async function patch(call: Call): Promise<void> {
  const { exchange, resource, subresource, key, options } = call;
  const form = formOf(call);
  const query = writeQueryOf(call, "PatchOptions");
  const document = await decodePatch(await bodyOf(call), query.fieldValidation !== "Ignore");
  const isApply = document.type === "application/apply-patch+yaml";
  const force = readForce(exchange.query, isApply);
  const { object, created } = await options.api.patch(changeContextOf(call, query), resource, key, {
    ...document,
    ...(isApply && { force }),
    ...(subresource && { subresource: subresource.name }),
  });
  await sendOne(call, created ? 201 : 200, object, form);
}

async function remove(call: Call): Promise<void> {
  const { exchange, resource, key, options } = call;
  const { context, deletion } = await deletionOf(call);
  const { outcome, object } = await options.api.delete(context, resource, key, deletion);
  if (outcome === "pending") {
    const { propagationPolicy } = deletion;
    const isAccepted = propagationPolicy === "Foreground" || propagationPolicy === "Background";
    return sendOne(call, isAccepted ? 202 : 200, object, formOf(call));
  }
  const { kind } = resource;
  await sendJson(exchange, 200, {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Success",
    details: {
      name: key.name,
      ...(kind.group !== "" && { group: kind.group }),
      kind: kind.resource,
      uid: object.decode().metadata.uid,
    },
  });
}

async function removeCollection(call: Call): Promise<void> {
  const { exchange, resource, options } = call;
  const selection = readListOptions(exchange.query, selectionOf(call));
  const { context, deletion } = await deletionOf(call);
  const removed = await options.api.deleteCollection(context, resource, selection, deletion);
  const pieces = listPieces(resource, removed, "object", "None", options.clock.now());
  await send(exchange, 200, JSON_TYPE, pieces);
}

async function deletionOf(call: Call): Promise<{ context: RequestContext; deletion: DeleteOptions }> {
  const { exchange, subresource } = call;
  const query = writeQueryOf(call, "DeleteOptions");
  const body = await decodeDeleteOptions(await bodyOf(call));
  const deletion = readDeleteOptions(body, exchange.query);
  const dryRun = query.dryRun || deletion.dryRun === true;
  return {
    context: contextOf(call, { ...query, dryRun }),
    deletion: {
      ...deletion,
      ...(dryRun && { dryRun }),
      ...(subresource && { subresource: subresource.name }),
      signal: exchange.signal,
    },
  };
}

const READ: WriteQuery = { dryRun: false, fieldManager: "", fieldValidation: "Ignore" };

function contextOf({ exchange }: Call, query: WriteQuery): RequestContext {
  return {
    user: exchange.user,
    dryRun: query.dryRun,
    fieldManager: query.fieldManager,
    fieldValidation: query.fieldValidation,
    warn: (text) => void exchange.warnings.add(text),
    signal: exchange.signal,
  };
}

/** The context of an update or patch, which may turn out to be a create. */
function changeContextOf(call: Call, query: WriteQuery): RequestContext {
  const { exchange, resource, key, options } = call;
  const { group, version, resource: plural } = resource.kind;
  return {
    ...contextOf(call, query),
    authorizeCreate: () =>
      demand(options.authorizer, exchange.user, {
        verb: "create",
        group,
        version,
        resource: plural,
        subresource: "",
        ...key,
      }),
  };
}

const writeQueryOf = ({ exchange }: Call, kind: Parameters<typeof readWriteQuery>[1]): WriteQuery =>
  readWriteQuery(exchange.query, kind, exchange.request.headers["user-agent"]);

const selectionOf = ({ exchange, resource, key }: Call): Selection =>
  readSelection(exchange.query, key.namespace, resource.kind.namespaced);

async function decodeFrom(call: Call, query: WriteQuery): Promise<Awaited<ReturnType<typeof decodeObject>>> {
  const { resource, subresource } = call;
  const expected: ExpectedKind = subresource?.kind ?? resource.kind;
  return decodeObject(await bodyOf(call), expected, query.fieldValidation !== "Ignore");
}

async function bodyOf({ exchange: { request, signal }, options: { yaml } }: Call): Promise<Body> {
  return { bytes: await readBody(request, signal), contentType: request.headers["content-type"], yaml, signal };
}

/** Rows and metadata can be had of what is stored; a review or a scale is only itself. */
function formOf({ exchange, resource, subresource }: Call): AnswerForm {
  const isStored = subresource?.kind === undefined && resource.verbs.includes("get");
  return negotiateForm(exchange.request.headers.accept, isStored ? ["table", "metadata"] : []);
}

async function sendOne(
  { exchange, resource, options }: Call,
  code: number,
  object: Parameters<typeof objectBytes>[1],
  form: AnswerForm,
): Promise<void> {
  const bytes = objectBytes(resource, object, form, readRowObject(exchange.query), options.clock.now());
  await sendObject(exchange, code, bytes);
}
