import { methodNotAllowed, resourceNotFound, StatusError, type Kind } from "@skerry/machinery";
import { sendText } from "./answer.ts";
import type { Exchange } from "./exchange.ts";
import type { ResourcePath } from "./request-path.ts";

/** For a path under which nothing is: plain text, as every Kubernetes answers it. */
export const sendNotFound = (exchange: Exchange): Promise<void> =>
  sendText(exchange, 404, "text/plain; charset=utf-8", "404 page not found\n");

/** For a kind that other clusters may have: upstream's words, and which one it is that is missed here. */
export function notServed({ group, version, resource }: ResourcePath): StatusError {
  const { message } = resourceNotFound();
  const of = group === "" ? version : `${group}/${version}`;
  return new StatusError("NotFound", `${message}: Skerry does not serve ${resource} of ${of}`, { details: {} });
}

/** For what every client expects and is not built: said so, rather than a path that is not there. */
export const notBuiltYet = (of: Pick<Kind, "group" | "resource">, subresource: string): StatusError => {
  const { message, details } = methodNotAllowed(of, subresource);
  return new StatusError("MethodNotAllowed", `${message}: Skerry does not have ${subresource} yet`, {
    code: 501,
    ...(details && { details }),
  });
};
