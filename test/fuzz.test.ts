import { env } from "node:process";
import { expect, test } from "vitest";
import { coded, damage, seeds, survive } from "./fuzz.js";

// For a long run: CELLIST_FUZZ=1000000 CELLIST_FUZZ_SEED=20000 npx vitest run test/fuzz.test.ts. A failure names a number, with which
// CELLIST_FUZZ=1 CELLIST_FUZZ_SEED=<number> does the same damage again.
const RUNS = Number(env.CELLIST_FUZZ ?? 20_000);
const SEED = Number(env.CELLIST_FUZZ_SEED ?? 0);

test(
  `${RUNS} damaged files are refused, or are an index like any other`,
  { timeout: 120_000 + RUNS * 20 },
  async () => {
    const files = await seeds();
    let read = 0;
    for (let number = SEED; number < SEED + RUNS; number++) {
      const { bytes, story } = damage(number, files);
      try {
        if (await survive(number, bytes, bytes.length)) read++;
        if (number % 10 === 0) {
          const chunks = [bytes.subarray(0, 50), bytes.subarray(50, 1000), bytes.subarray(1000)];
          await survive(number, chunks, bytes.length);
        }
      } catch (error) {
        expect.fail(
          `number ${number}: ${story}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        );
      }
    }
    // Neither all nor nothing: some damage is no matter.
    if (RUNS >= 1000) expect(coded).toBeGreaterThan(RUNS / 1000);
    if (RUNS >= 1000) expect(read / RUNS).toSatisfy((share: number) => share > 0.1 && share < 0.9);
  },
);
