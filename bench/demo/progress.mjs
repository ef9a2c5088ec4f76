import { performance } from "node:perf_hooks";
import { Presets, SingleBar } from "cli-progress";

/**
 * Shows long work: a bar for each phase where a person is watching and its end is known, else a line for each that is done.
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
    bar = undefined;
    phase = "";
  };
  return {
    onProgress(p) {
      if (p.phase !== phase) {
        end();
        phase = p.phase;
        start = performance.now();
        if (process.stdout.isTTY && Number.isFinite(p.total)) {
          bar = new SingleBar({ format: `${indent}${phase.padEnd(12)} {bar} {percentage} %` }, Presets.shades_classic);
          bar.start(p.total, 0);
        }
      }
      bar?.update(p.done);
    },
    stop: end,
  };
}
