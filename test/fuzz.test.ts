import { cpuUsage, env } from "node:process";
import { expect, test } from "vitest";
import { coded } from "./fuzz-use.js";
import { damage, seeds, survive } from "./fuzz.js";

// For a long run: CELLIST_FUZZ=1000000 CELLIST_FUZZ_SEED=20000 npx vitest run test/fuzz.test.ts. A failure names a number, with which
// CELLIST_FUZZ=1 CELLIST_FUZZ_SEED=<number> does the same damage again; CELLIST_FUZZ_OF=<regular expression> damages those files only
// whose names match: CELLIST_FUZZ_OF='SQ|RaBitQ', say. What is asked for so is timed, too.
const RUNS = Number(env.CELLIST_FUZZ ?? 20_000);
const SEED = Number(env.CELLIST_FUZZ_SEED ?? 0);
const OF = new RegExp(env.CELLIST_FUZZ_OF ?? "");
/** Processor time of one damaged file at most, in a run that was asked for. */
const MICROSECONDS = env.CELLIST_FUZZ === undefined ? Infinity : 1e6;

test(
  `${RUNS} damaged files are refused, or are an index like any other`,
  // A long run may have idle time only; the suite's must end.
  { timeout: Math.min(2 ** 31 - 1, 120_000 + RUNS * (env.CELLIST_FUZZ === undefined ? 20 : 1000)) },
  async () => {
    const files = await seeds(OF);
    let read = 0;
    let slowest = { taken: 0, what: "" };
    for (let number = SEED; number < SEED + RUNS; number++) {
      const { bytes, story } = damage(number, files);
      const before = cpuUsage();
      try {
        if (await survive(number, bytes, bytes.length)) read++;
        if (number % 10 === 0) {
          const chunks = [bytes.subarray(0, 50), bytes.subarray(50, 1000), bytes.subarray(1000)];
          await survive(number, chunks, bytes.length);
        }
        const { user, system } = cpuUsage(before);
        if (user + system > slowest.taken) slowest = { taken: user + system, what: `number ${number}: ${story}` };
      } catch (error) {
        expect.fail(
          `number ${number}: ${story}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        );
      }
    }
    if (env.CELLIST_FUZZ !== undefined) {
      const { small, large } = files;
      console.log(`${read} of ${RUNS} read, of ${small.length + large.length} files`, slowest);
    }
    expect(slowest.taken, slowest.what).toBeLessThan(MICROSECONDS);
    // Neither all nor nothing: some damage is no matter.
    if (RUNS >= 1000 && env.CELLIST_FUZZ_OF === undefined) expect(coded).toBeGreaterThan(RUNS / 1000);
    if (RUNS >= 1000) expect(read / RUNS).toSatisfy((share: number) => share > 0.1 && share < 0.9);
  },
);
