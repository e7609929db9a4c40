/**
 * One line of a container's log file as CRI runtimes write it: `<RFC 3339 time> <stream> <tag> <text>`, where tag F ends a line
 * and P says that it goes on in the next record (Kubernetes CRI log format).
 */
export interface LogRecord {
  /** As it stands in the file. */
  time: string;
  stream: string;
  isPartial: boolean;
  /** Without the line's end. */
  text: Buffer;
}

/** Reads one line without its end; undefined when it is none, as after a torn write. */
export function parseRecord(line: Buffer): LogRecord | undefined {
  const afterTime = line.indexOf(0x20);
  const afterStream = afterTime < 0 ? -1 : line.indexOf(0x20, afterTime + 1);
  if (afterStream < 0) return undefined;
  const afterTag = line.indexOf(0x20, afterStream + 1);
  const tag = line.toString("latin1", afterStream + 1, afterTag < 0 ? line.length : afterTag);
  if (!/^[FP](?::|$)/.test(tag)) return undefined;
  return {
    time: line.toString("latin1", 0, afterTime),
    stream: line.toString("latin1", afterTime + 1, afterStream),
    isPartial: tag.startsWith("P"),
    text: afterTag < 0 ? Buffer.alloc(0) : line.subarray(afterTag + 1),
  };
}
