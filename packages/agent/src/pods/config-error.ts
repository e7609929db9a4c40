/** Something that a container's configuration refers to is not there. Shown as `CreateContainerConfigError`. */
export class ContainerConfigError extends Error {
  override name = "ContainerConfigError";
}
