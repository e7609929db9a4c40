/** Ten pods of the smallest server there is, from an image that every edge has. */
export const TEN_PODS = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "ten" },
  spec: {
    replicas: 10,
    selector: { matchLabels: { app: "ten" } },
    template: {
      metadata: { labels: { app: "ten" } },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [{ name: "web", image: "skerry.local/hello:1", imagePullPolicy: "IfNotPresent" }],
      },
    },
  },
};
