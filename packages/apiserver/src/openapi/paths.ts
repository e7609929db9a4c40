import { apiVersionOf, type Kind } from "@skerry/machinery";
import type { Resource, Subresource, Verb } from "../api.ts";
import { listRef, META, schemaRef, type OpenApiSchema } from "./schemas.ts";

type BodyKind = Pick<Kind, "group" | "version" | "kind" | "schema">;

/** The path items of a resource and its subresources: what can be called, with which parameters and bodies. */
export function pathsOf(resource: Resource): Record<string, OpenApiSchema> {
  const { kind, verbs, subresources } = resource;
  const root = kind.group === "" ? `/api/${kind.version}` : `/apis/${apiVersionOf(kind)}`;
  const scoped = kind.namespaced ? `${root}/namespaces/{namespace}` : root;
  const collection = `${scoped}/${kind.resource}`;
  const item = `${collection}/{name}`;
  const scope = kind.namespaced ? [NAMESPACE] : [];
  const paths: Record<string, OpenApiSchema> = {};
  add(paths, collection, scope, [
    verbs.includes("list") && operation("get", "list", resource, LIST_QUERY, { answer: listRef(kind) }),
    verbs.includes("create") && operation("post", "post", resource, WRITE_QUERY, { body: kind }),
    verbs.includes("deletecollection") && operation("delete", "deletecollection", resource, DELETE_QUERY, DELETION),
  ]);
  if (kind.namespaced && verbs.includes("list"))
    add(
      paths,
      `${root}/${kind.resource}`,
      [],
      [operation("get", "list", resource, LIST_QUERY, { answer: listRef(kind) })],
    );
  add(paths, item, [NAME, ...scope], itemOperations(resource, verbs, kind));
  for (const sub of subresources)
    add(paths, `${item}/${sub.name}`, [NAME, ...scope], subresourceOperations(resource, sub));
  return paths;
}

interface Operation {
  readonly method: string;
  readonly value: OpenApiSchema;
}

interface Bodies {
  /** The kind of the request's body, and of the answer unless that says otherwise. */
  body?: BodyKind;
  /** The name of the answer's schema; absent: text. */
  answer?: string;
  /** Media types of the request's body. */
  types?: readonly string[];
  /** The schema of the request's body. */
  bodySchema?: string;
}

const OBJECT_TYPES = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
const PATCH_TYPES = [
  "application/apply-patch+yaml",
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
];
const DELETION: Bodies = { bodySchema: `${META}.DeleteOptions`, answer: `${META}.Status`, types: OBJECT_TYPES };

const parameter = (name: string, type: string, where = "query"): OpenApiSchema => ({
  name,
  in: where,
  ...(where === "path" && { required: true }),
  schema: { type, uniqueItems: true },
});

const NAME = parameter("name", "string", "path");
const NAMESPACE = parameter("namespace", "string", "path");
const DRY_RUN = parameter("dryRun", "string");
const SELECTION = [parameter("fieldSelector", "string"), parameter("labelSelector", "string")];
const LIST_QUERY = [
  parameter("allowWatchBookmarks", "boolean"),
  parameter("continue", "string"),
  ...SELECTION,
  parameter("limit", "integer"),
  parameter("resourceVersion", "string"),
  parameter("resourceVersionMatch", "string"),
  parameter("sendInitialEvents", "boolean"),
  parameter("timeoutSeconds", "integer"),
  parameter("watch", "boolean"),
];
const WRITE_QUERY = [DRY_RUN, parameter("fieldManager", "string"), parameter("fieldValidation", "string")];
const PATCH_QUERY = [...WRITE_QUERY, parameter("force", "boolean")];
const DELETE_QUERY = [
  DRY_RUN,
  parameter("gracePeriodSeconds", "integer"),
  parameter("orphanDependents", "boolean"),
  parameter("propagationPolicy", "string"),
];

function itemOperations(resource: Resource, verbs: readonly Verb[], kind: BodyKind): (Operation | false)[] {
  return [
    verbs.includes("get") && operation("get", "get", resource, [], { answer: kind.schema }, kind),
    verbs.includes("update") && operation("put", "put", resource, WRITE_QUERY, { body: kind }, kind),
    verbs.includes("delete") && operation("delete", "delete", resource, DELETE_QUERY, DELETION, kind),
    verbs.includes("patch") &&
      operation(
        "patch",
        "patch",
        resource,
        PATCH_QUERY,
        { bodySchema: `${META}.Patch`, answer: kind.schema, types: PATCH_TYPES },
        kind,
      ),
  ];
}

function subresourceOperations(resource: Resource, sub: Subresource): (Operation | false)[] {
  const kind = sub.kind ?? resource.kind;
  if (sub.stream) return [operation("get", "connect", resource, [], {}, kind)];
  return [
    ...itemOperations(resource, sub.verbs, kind),
    sub.verbs.includes("create") && operation("post", "post", resource, WRITE_QUERY, { body: kind }, kind),
  ];
}

function operation(
  method: string,
  action: string,
  { kind: own }: Resource,
  query: readonly OpenApiSchema[],
  bodies: Bodies,
  kind: BodyKind = own,
): Operation {
  const { body, types = OBJECT_TYPES, bodySchema = body?.schema, answer = body?.schema } = bodies;
  const schema = bodySchema === undefined ? undefined : schemaRef(bodySchema);
  return {
    method,
    value: {
      tags: [own.group === "" ? `core_${own.version}` : `${own.group.split(".")[0]}_${own.version}`],
      ...(query.length > 0 && { parameters: query }),
      ...(schema && {
        requestBody: { content: Object.fromEntries(types.map((type) => [type, { schema }])) },
      }),
      responses: {
        "200": {
          description: "OK",
          content:
            answer === undefined
              ? { "text/plain": { schema: { type: "string" } } }
              : { "application/json": { schema: schemaRef(answer) } },
        },
        "401": { description: "Unauthorized" },
      },
      "x-kubernetes-action": action,
      "x-kubernetes-group-version-kind": { group: kind.group, kind: kind.kind, version: kind.version },
    },
  };
}

function add(
  paths: Record<string, OpenApiSchema>,
  path: string,
  parameters: readonly OpenApiSchema[],
  operations: readonly (Operation | false)[],
): void {
  const known = operations.filter((candidate) => candidate !== false);
  if (known.length === 0) return;
  const item: OpenApiSchema = Object.fromEntries(known.map(({ method, value }) => [method, value]));
  if (parameters.length > 0) item["parameters"] = parameters;
  paths[path] = item;
}
