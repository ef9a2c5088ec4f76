import { spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const PYTHONS = [process.env.CELLIST_PYTHON, "/usr/bin/python3", "python3"].filter(Boolean);
const SCRIPT = fileURLToPath(new URL("native.py", import.meta.url));

/**
 * Native faiss, to compare with in the same run: the first Python that can import it, or undefined.
 * On Debian: apt-get install python3-faiss libopenblas0-pthread (without OpenBLAS its training is 27 times slower).
 */
export function startFaiss() {
  const python = PYTHONS.find((path) => spawnSync(path, ["-c", "import faiss"]).status === 0);
  if (python === undefined) return undefined;
  // Debian's OpenBLAS does not know newer Xeons and falls back to SSE3 there, two to three times as slow.
  const env = { OPENBLAS_CORETYPE: "Haswell", ...process.env };
  const child = spawn(python, [SCRIPT], { stdio: ["pipe", "pipe", "inherit"], env });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    /** Calls a function of native.py. */
    async call(name, args = {}) {
      child.stdin.write(JSON.stringify({ call: name, ...args }) + "\n");
      const { value, done } = await lines.next();
      if (done) throw new Error(`native.py ended in ${name}`);
      return JSON.parse(value);
    },
    stop: () => child.stdin.end(),
  };
}
