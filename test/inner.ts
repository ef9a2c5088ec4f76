import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";
import type { Engine } from "../src/wasm/engine.js";

const FOLDER = fileURLToPath(new URL("../assembly/", import.meta.url));
const ENTRY = "inner.ts";
const FLAGS = "--runtime stub --importMemory --initialMemory 1 --enable simd --noAssert -O1".split(" ");

type Inner<T extends string> = Record<T, (...words: number[]) => number>;

const compiled = new Map<string, WebAssembly.Module>();

/**
 * Kernels that no module exports, on an engine's memory: `source` stands in assembly/ for the compiler, imports them from there and exports
 * what a test calls. It takes about a second.
 */
export async function innerKernels<T extends string>(engine: Engine, source: string): Promise<Inner<T>> {
  const known = compiled.get(source);
  if (known !== undefined) return engine.attach(known) as Inner<T>;
  const wasm: Uint8Array<ArrayBuffer>[] = [];
  const { error } = await asc.main([ENTRY, "--outFile", "inner.wasm", ...FLAGS], {
    readFile: (name) => (name === ENTRY ? source : read(name)),
    writeFile: (name, bytes) => {
      if (name.endsWith(".wasm")) wasm.push(Uint8Array.from(bytes as Uint8Array));
    },
  });
  if (error !== null) throw error;
  const module = new WebAssembly.Module(wasm[0]);
  compiled.set(source, module);
  return engine.attach(module) as Inner<T>;
}

/** The text of a file, null where there is none: the compiler asks for what may be a folder. */
function read(name: string): string | null {
  try {
    return readFileSync(join(FOLDER, name), "utf8");
  } catch {
    return null;
  }
}
