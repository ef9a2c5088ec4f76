// Runs the benchmarks, all or those whose name begins with an argument: npm run bench -- voice fastscan
// With --fresh, what earlier runs kept (build/bench) is made anew.

import { readdirSync } from "node:fs";
import { cpus } from "node:os";

const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
console.log(`Node ${process.version}, ${cpus()[0].model}. Times are of this machine in this hour: trust the ratios.`);
for (const file of readdirSync(new URL(".", import.meta.url)).sort()) {
  if (!file.endsWith(".bench.mjs")) continue;
  if (wanted.length > 0 && !wanted.some((name) => file.startsWith(name))) continue;
  const { title, run } = await import(new URL(file, import.meta.url));
  console.log(`\n== ${title}`);
  await run();
}
