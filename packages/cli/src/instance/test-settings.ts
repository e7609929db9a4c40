import type { Settings } from "./settings.ts";

/** What an instance with both daemons keeps, for tests. */
export const TEST_SETTINGS: Settings = {
  id: "0a1b2c3d",
  roles: ["cloud", "edge"],
  apiPort: 6443,
  linkPort: 10_000,
  clusterCidr: "10.42.0.0/16",
  nodeName: "n1",
  sample: false,
};
