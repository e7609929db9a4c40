/**
 * Replaces `$(NAME)` by the value of a variable, as Kubernetes does in env values, commands and arguments: `$$` is a dollar
 * sign, and a name that is not known stays as it stands.
 */
export function expand(text: string, variables: ReadonlyMap<string, string>): string {
  if (!text.includes("$")) return text;
  return text.replace(/\$\$|\$\(([^()]*)\)/g, (match, name: string | undefined) => {
    if (name === undefined) return "$";
    return variables.get(name) ?? match;
  });
}
