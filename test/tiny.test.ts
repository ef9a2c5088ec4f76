import { expect, test } from "vitest";
import { indexFactory, readIndex } from "../src/index.js";
import { randomOf, uniform } from "./random.js";
import { checkTiny } from "./runtimes/project/tiny.mjs";

test("vectors whose squared distances are subnormal are found as a plain scan finds them", async () => {
  await expect(checkTiny({ indexFactory, readIndex }, uniform(randomOf(1), 400 * 128))).resolves.toBeUndefined();
});
