import { performance } from "node:perf_hooks";
import { Presets, SingleBar } from "cli-progress";

/**
 * Shows long work: a bar for each phase where a person is watching, else a line for each phase that is done.
 *
 * @returns {{ onProgress(p: import("cellist").Progress): void, stop(): void }}
 */
export function progress(indent = "  ") {
  let phase = "";
  let bar;
  let start = 0;
  const end = () => {
    if (bar) bar.stop();
    else if (phase) console.log(`${indent}${phase.padEnd(12)} ${(performance.now() - start).toFixed(0)} ms`);
    phase = "";
  };
  return {
    onProgress(p) {
      if (p.phase !== phase) {
        end();
        phase = p.phase;
        start = performance.now();
        if (process.stdout.isTTY) {
          bar = new SingleBar({ format: `${indent}${phase.padEnd(12)} {bar} {percentage} %` }, Presets.shades_classic);
          bar.start(Number.isFinite(p.total) ? p.total : 0, 0);
        }
      }
      if (Number.isFinite(p.total)) bar?.update(p.done);
    },
    stop: end,
  };
}
