import { keyToPem, toPem } from "@skerry/base";
import { HttpsClient } from "@skerry/client";
import { clientContract } from "@skerry/client/testing";
import { ApiWorld } from "./api-world.ts";

clientContract("The client in the API's own process", async () => {
  const world = await new ApiWorld().start();
  return {
    client: world.client(),
    stranger: world.client({ name: "stranger", groups: [] }),
    compact: () => world.store.compact(world.store.revision),
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
});

clientContract("HttpsClient", async () => {
  const world = await new ApiWorld().start();
  const stack = new AsyncDisposableStack();
  stack.use(world);
  const clientOf = (name: string, groups: string[]): HttpsClient => {
    const { certificate, key } = world.identity(name, groups);
    const credentials = { certificate: toPem("CERTIFICATE", certificate.raw), key: keyToPem(key) };
    return stack.use(new HttpsClient({ server: world.url, ca: world.ca, credentials, userAgent: "contract/1" }));
  };
  return {
    client: clientOf("admin", ["system:masters"]),
    stranger: clientOf("stranger", []),
    compact: () => world.store.compact(world.store.revision),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
});
