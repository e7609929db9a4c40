/** Skerry's command line: a table of commands, each a file. */
export { main } from "./main.ts";
