/** Who makes a request, as authentication found out. */
export interface UserInfo {
  name: string;
  uid?: string;
  groups: readonly string[];
  extra?: Readonly<Record<string, readonly string[]>>;
}

/** What accompanies every call into the registry, whichever way it came in. */
export interface RequestContext {
  user: UserInfo;
  /** The manager that owns written fields: the `fieldManager` parameter, or the user agent up to the first "/". */
  fieldManager: string;
  dryRun: boolean;
  /** What happens to unknown and duplicate fields: nothing, a warning each, or the request is refused (KEP-2885). */
  fieldValidation: "Ignore" | "Warn" | "Strict";
  /** Tells the client something beside the answer (`Warning: 299`, RFC 7234 §5.5); said once per text. */
  warn(text: string): void;
  /**
   * Asked before an update or an apply makes an object that was not there; throws Forbidden. Who may change objects of a kind may not
   * therefore make new ones.
   */
  authorizeCreate?(): void;
  signal: AbortSignal;
}
