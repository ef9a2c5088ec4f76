import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { TIERS } from "./runtimes/tiers.mjs";

const script = fileURLToPath(new URL("runtimes/tiers.mjs", import.meta.url));

/** What a Node of its own, given flags of V8, finds in faiss' files. */
function answers(flags: string[]): unknown {
  return JSON.parse(execFileSync(process.execPath, [...flags, script], { encoding: "utf8" }));
}

describe("faiss' files give the same answers to the bit, whichever compiler V8 uses and whatever the CPU has", () => {
  const plain = answers([]);
  for (const flags of TIERS) {
    test(flags.join(" "), () => {
      expect(answers(flags)).toEqual(plain);
    });
  }
});
