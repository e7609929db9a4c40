import { readFile } from "node:fs/promises";
import { HttpsClient } from "@skerry/client";
import { isMissingFile } from "@skerry/base";
import { UserError } from "../command.ts";
import type { Layout } from "./layout.ts";

/** How to reach an API as somebody, all PEM. */
export interface Access {
  server: string;
  ca: string;
  certificate: string;
  key: string;
}

/** A kubeconfig with one cluster, one user and one context, all called `skerry`. */
export function kubeconfigText({ server, ca, certificate, key }: Access): string {
  const data = (pem: string): string => Buffer.from(pem).toString("base64");
  return `apiVersion: v1
kind: Config
clusters:
- name: skerry
  cluster:
    server: ${server}
    certificate-authority-data: ${data(ca)}
users:
- name: skerry-admin
  user:
    client-certificate-data: ${data(certificate)}
    client-key-data: ${data(key)}
contexts:
- name: skerry
  context:
    cluster: skerry
    user: skerry-admin
current-context: skerry
`;
}

interface Kubeconfig {
  clusters?: { cluster?: Record<string, string> }[];
  users?: { user?: Record<string, string> }[];
}

/** Reads a kubeconfig that `kubeconfigText` wrote. */
export async function readAccess(file: string): Promise<Access> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (isMissingFile(error))
      throw new UserError(`There is no ${file} yet: the cloud writes it when it starts`, { cause: error });
    throw error;
  }
  const { parse } = await import("yaml");
  const config = parse(text) as Kubeconfig;
  const cluster = config.clusters?.[0]?.cluster;
  const user = config.users?.[0]?.user;
  const decode = (data: string | undefined): string => Buffer.from(data ?? "", "base64").toString("utf8");
  if (!cluster?.["server"])
    throw new UserError(`${file} is no kubeconfig of Skerry's; remove it and start the cloud again`);
  return {
    server: cluster["server"],
    ca: decode(cluster["certificate-authority-data"]),
    certificate: decode(user?.["client-certificate-data"]),
    key: decode(user?.["client-key-data"]),
  };
}

/** The API of an instance as its administrator. */
export async function adminClient(layout: Layout, options: { timeoutMs?: number } = {}): Promise<HttpsClient> {
  const { server, ca, certificate, key } = await readAccess(layout.kubeconfig);
  return new HttpsClient({ server, ca, credentials: { certificate, key }, userAgent: "skerry", ...options });
}
