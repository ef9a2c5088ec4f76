// Prints, as JSON, the milliseconds from nothing to the first result of the index in a file, by the build of an argument or this one.

import { readFileSync } from "node:fs";

// Its zero is the start of the process.
const booted = performance.now();
const bytes = readFileSync(process.argv[2]);
const laps = [performance.now()];
const lap = () => laps.push(performance.now());

await import("./empty.mjs");
lap();
const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes.length / 65536) });
new Uint8Array(memory.buffer).set(bytes);
lap();
const worked = process.cpuUsage();
const { readIndex } = await import(process.argv[3] ?? "cellist");
lap();
const index = await readIndex(bytes);
lap();
const { labels, distances } = index.search(new Float32Array(index.d).fill(0.1), 8);
lap();
const { user, system } = process.cpuUsage(worked);

const [empty, fresh, imported, open, search] = laps.slice(1).map((time, i) => time - laps[i]);
const all = imported + open + search;
const whole = booted + all;
const processor = (user + system) / 1e3;
// What is left where no library is: the start, an empty module, and the bytes in new memory.
const least = booted + empty + fresh;
const found = `${labels} ${distances}`;
console.log(
  JSON.stringify({
    bytes: bytes.length,
    empty,
    memory: fresh,
    import: imported,
    open,
    search,
    all,
    whole,
    least,
    processor,
    found,
  }),
);
