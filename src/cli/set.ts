import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { basename } from "node:path";
import type { Command } from "commander";
import type { VectorIndex } from "../handle/vector-index.js";
import { openIndex, openOutline, pathError } from "./files.js";
import { forceOption, jsonOption } from "./options.js";
import { checkTargets, writeFiles, writeIndex } from "./output.js";
import { InputError, run } from "./run.js";
import type { Watch } from "./run.js";
import { count, table } from "./text.js";

/** Bytes that are compared and copied at a time. */
const CHUNK = 1 << 20;

interface SetFlags {
  out?: string;
  force?: boolean;
  json?: boolean;
}

/** A byte of a file that is to be another one. */
interface Change {
  at: number;
  from: number;
  to: number;
}

/** Adds `cellist set`. */
export function addSet(program: Command): void {
  program
    .command("set")
    .summary("change the parameters that an index file says")
    .description(
      "Changes parameters where they stand in an index file, such as the lists that a search scans: RVC, w-okada's voice changer and " +
        "all else that reads the file searches by them then. Nothing but the bytes of these numbers is written.",
    )
    .argument("<file>", "the index file")
    .argument("<parameters...>", "by faiss' names: nprobe=8, k_factor_rf=4, efSearch=64")
    .option("--out <file>", "write a changed copy, and leave the file as it is")
    .addOption(forceOption())
    .addOption(jsonOption())
    .addHelpText("after", "\nExample:\n  cellist set added_IVF495_Flat_nprobe_1_alice_v2.index nprobe=8")
    .action((file: string, parameters: string[], { out, force, json = false }: SetFlags) =>
      run(json, async (watch, ask) => {
        if (out !== undefined) await checkTargets([out], { inputs: [file], force, ask });
        const wanted = parameters.join(",");
        const { index } = await openOutline(file, watch);
        const { changes, length } = changesOf(index, wanted);
        if (out === undefined) await changeInPlace(file, changes, length);
        else await writeCopy(file, out, changes, length, wanted, watch);
        const names = wanted.split(/[, ]+/).map((part) => part.split("=")[0]);
        const values = Object.fromEntries(names.filter(Boolean).map((name) => [name, index.get(name)]));
        const said = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]));
        return {
          text: `${basename(out ?? file)}: ${count(changes.length, "byte", "bytes")} changed\n${table(said)}`,
          data: { file: out ?? file, changed: changes.length, ...values },
        };
      }),
    );
}

/** Sets parameters, and finds the bytes of the file that say them. */
function changesOf(index: VectorIndex, parameters: string): { changes: Change[]; length: number } {
  // Fields are taken as they are now; vectors, which are not read here, are the same in both.
  const before = index.chunks();
  index.set(parameters);
  const after = index.chunks();
  const changes: Change[] = [];
  for (let start = 0; ;) {
    const [was, is] = [before.next().value, after.next().value];
    if (!was || !is) return { changes, length: start };
    if (Buffer.compare(was, is) !== 0)
      was.forEach((from, i) => from !== is[i] && changes.push({ at: start + i, from, to: is[i] }));
    start += was.length;
  }
}

/** Whether a file is, where it is to be changed, as this version would write it. */
async function isPlain(file: FileHandle, changes: readonly Change[], length: number): Promise<boolean> {
  if ((await file.stat()).size !== length) return false;
  for (const { at, from } of changes) {
    const { buffer } = await file.read(new Uint8Array(1), { position: at });
    if (buffer[0] !== from) return false;
  }
  return true;
}

async function changeInPlace(path: string, changes: readonly Change[], length: number): Promise<void> {
  try {
    const file = await open(path, "r+");
    try {
      if (!(await isPlain(file, changes, length)))
        throw new InputError(`${path} is packed, or not laid out as cellist would: give --out for a changed copy`);
      for (const { at, to } of changes) await file.write(Uint8Array.of(to), 0, 1, at);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw pathError("change", path, error);
  }
}

async function writeCopy(
  path: string,
  out: string,
  changes: readonly Change[],
  length: number,
  parameters: string,
  watch: Watch,
): Promise<void> {
  let file;
  try {
    file = await open(path);
    if (await isPlain(file, changes, length)) {
      await writeFiles([{ path: out, chunks: changed(file, changes) }], watch.signal);
      return;
    }
  } catch (error) {
    throw pathError("read", path, error);
  } finally {
    await file?.close();
  }
  const { index } = await openIndex(path, watch);
  index.set(parameters);
  await writeIndex(out, index, watch);
}

/** A file's bytes with the changes made. */
async function* changed(file: FileHandle, changes: readonly Change[]): AsyncGenerator<Uint8Array> {
  for (let start = 0; ;) {
    const { buffer, bytesRead } = await file.read(new Uint8Array(CHUNK), { position: start });
    if (bytesRead === 0) return;
    for (const { at, to } of changes) if (at >= start && at < start + bytesRead) buffer[at - start] = to;
    yield buffer.subarray(0, bytesRead);
    start += bytesRead;
  }
}
