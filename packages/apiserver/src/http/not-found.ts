import { sendText } from "./answer.ts";
import type { Exchange } from "./exchange.ts";

/** For a path under which nothing is: plain text, as every Kubernetes answers it. */
export const sendNotFound = (exchange: Exchange): Promise<void> =>
  sendText(exchange, 404, "text/plain; charset=utf-8", "404 page not found\n");
