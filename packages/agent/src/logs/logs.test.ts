import assert from "node:assert/strict";
import { appendFile, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { systemClock } from "@skerry/base";
import { eventually } from "@skerry/base/testing";
import { parseRecord } from "./cri-log.ts";
import { logFilesOf, rotateLog } from "./log-files.ts";
import { readLog, type LogOptions } from "./read-log.ts";
import { lastLines } from "./tail.ts";

class Folder implements AsyncDisposable {
  readonly path: string;
  constructor(folder: string) {
    this.path = folder;
  }
  static async create(): Promise<Folder> {
    return new Folder(await mkdtemp(path.join(tmpdir(), "skerry-logs-")));
  }
  file(name: string): string {
    return path.join(this.path, name);
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

const time = (second: number): string => `2026-01-01T00:00:${String(second).padStart(2, "0")}.123456789Z`;
const line = (text: string, second = 0, stream = "stdout", tag = "F"): string =>
  `${time(second)} ${stream} ${tag} ${text}\n`;
const lines = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, index) => line(`line ${from + index}`)).join("");

const whole: LogOptions = {
  follow: false,
  tailLines: undefined,
  sinceMs: undefined,
  timestamps: false,
  limitBytes: undefined,
  stream: undefined,
};

async function read(file: string, options: Partial<LogOptions> = {}, isLive = false): Promise<string> {
  const parts: Uint8Array[] = [];
  const context = { clock: systemClock, signal: new AbortController().signal };
  for await (const part of readLog({ file, isLive: () => isLive }, { ...whole, ...options }, context)) parts.push(part);
  return Buffer.concat(parts).toString();
}

describe("parseRecord()", () => {
  it("reads time, stream, tag and text", () => {
    const record = parseRecord(Buffer.from(`${time(1)} stderr P half of it`));
    assert.deepEqual(
      { ...record, text: record?.text.toString() },
      { time: time(1), stream: "stderr", isPartial: true, text: "half of it" },
    );
    assert.equal(parseRecord(Buffer.from(`${time(1)} stdout F`))?.text.length, 0);
  });

  it("refuses what is no record", () => {
    for (const text of ["", "hello", "a b c d", `${time(1)} stdout`])
      assert.equal(parseRecord(Buffer.from(text)), undefined, text);
  });
});

describe("readLog()", () => {
  it("joins partial records to lines", async () => {
    await using folder = await Folder.create();
    await writeFile(folder.file("0.log"), line("one ", 1, "stdout", "P") + line("line", 2) + line("two", 3));
    assert.equal(await read(folder.file("0.log")), "one line\ntwo\n");
    assert.equal(await read(folder.file("0.log"), { timestamps: true }), `${time(1)} one line\n${time(3)} two\n`);
  });

  it("takes the last lines, a stream, what is new enough, and no more bytes than asked for", async () => {
    await using folder = await Folder.create();
    const file = folder.file("0.log");
    await writeFile(file, line("a", 1) + line("b", 2, "stderr") + line("c", 3));
    assert.equal(await read(file, { tailLines: 2 }), "b\nc\n");
    assert.equal(await read(file, { tailLines: 0 }), "");
    assert.equal(await read(file, { tailLines: 9 }), "a\nb\nc\n");
    assert.equal(await read(file, { stream: "stderr" }), "b\n");
    assert.equal(await read(file, { sinceMs: Date.UTC(2026, 0, 1, 0, 0, 3) }), "c\n");
    assert.equal(await read(file, { limitBytes: 3 }), "a\nb");
  });

  it("is empty when there is no log", async () => {
    await using folder = await Folder.create();
    assert.equal(await read(folder.file("0.log")), "");
    assert.equal(await lastLines(folder.file("0.log"), { lines: 5, bytes: 100 }), "");
  });

  it("reads rotated files too, packed ones among them", async () => {
    await using folder = await Folder.create();
    const file = folder.file("0.log");
    for (let round = 0; round < 4; round++) {
      await appendFile(file, lines(round * 100, round * 100 + 100));
      const limits = { maxBytes: 1000, maxFiles: 5 };
      await rotateLog(file, limits, { reopen: () => writeFile(file, ""), nowMs: Date.UTC(2026, 0, 1) + round });
    }
    await appendFile(file, lines(400, 450));
    assert.equal((await readdir(folder.path)).filter((name) => name.endsWith(".gz")).length, 3);
    const expected = Array.from({ length: 450 }, (_, index) => `line ${index}\n`);
    assert.equal(await read(file), expected.join(""));
    for (const tailLines of [1, 50, 51, 149, 150, 151, 350, 449, 450, 451]) {
      assert.equal(await read(file, { tailLines }), expected.slice(-tailLines).join(""), `tail ${tailLines}`);
    }
  });

  it("follows across rotations without losing or repeating a line", async () => {
    await using folder = await Folder.create();
    const file = folder.file("0.log");
    await writeFile(file, lines(0, 10));
    let isLive = true;
    let seen = "";
    const context = { clock: systemClock, signal: new AbortController().signal };
    const reading = (async () => {
      const options = { ...whole, follow: true, tailLines: 5 };
      for await (const part of readLog({ file, isLive: () => isLive }, options, context))
        seen += Buffer.from(part).toString();
    })();
    const expected = (to: number): string =>
      Array.from({ length: to - 5 }, (_, index) => `line ${index + 5}\n`).join("");
    await eventually(() => seen === expected(10));
    for (let round = 1; round <= 3; round++) {
      await rename(file, `${file}.${round}`);
      await appendFile(`${file}.${round}`, lines(round * 10, round * 10 + 5)); // written before the runtime opened the new one
      await writeFile(file, lines(round * 10 + 5, round * 10 + 10));
      await eventually(() => seen === expected(round * 10 + 10), { what: `round ${round}` });
    }
    isLive = false;
    await reading;
    assert.equal(seen, expected(40));
  });

  it("ends with its signal", async () => {
    await using folder = await Folder.create();
    const stop = new AbortController();
    const source = { file: folder.file("0.log"), isLive: () => true };
    const reading = readLog(source, { ...whole, follow: true }, { clock: systemClock, signal: stop.signal }).next();
    stop.abort();
    assert.equal((await reading).done, true);
  });
});

describe("rotateLog()", () => {
  it("keeps no more files than allowed and leaves a small log alone", async () => {
    await using folder = await Folder.create();
    const file = folder.file("0.log");
    const limits = { maxBytes: 1000, maxFiles: 3 };
    for (let round = 0; round < 6; round++) {
      await appendFile(file, lines(0, 100));
      assert.equal(await rotateLog(file, limits, { reopen: () => writeFile(file, ""), nowMs: round }), true);
      assert.equal(await rotateLog(file, limits, { reopen: () => assert.fail("not yet"), nowMs: round }), false);
    }
    assert.equal((await logFilesOf(file)).length, 3);
  });

  it("puts the file back when the runtime cannot open a new one", async () => {
    await using folder = await Folder.create();
    const file = folder.file("0.log");
    await writeFile(file, lines(0, 100));
    const reopen = (): Promise<void> => Promise.reject(new Error("the runtime is away"));
    await assert.rejects(rotateLog(file, { maxBytes: 10, maxFiles: 3 }, { reopen, nowMs: 0 }));
    assert.deepEqual(await readdir(folder.path), ["0.log"]);
  });
});
