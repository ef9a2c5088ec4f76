import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { readIndex } from "../src/index.js";
import type { Filter, IdType, Index } from "../src/index.js";
import { expectAnswer } from "./answers.js";
import { goldenCases, goldenFolder } from "./golden.js";
import { floats } from "./npy.js";

// What faiss finds of its own files where an IDSelector leaves vectors out (golden/id-selectors.py), of k nearest and within a radius.

type Which = { range: [number, number] } | { ids: number[] } | { not: Which } | { and: Which[] } | { or: Which[] };

interface Answer {
  file: string;
  /** 0 where there are no cells. */
  nprobe: number;
  which: Which;
  D: number[];
  I: number[];
  range?: { radius: number; lims: number[]; D: number[]; I: number[] };
}

const K = 8;
const NQ = 8;
/** The queries of range searches. */
const IN_RANGE = [1, 2, 3, 6];

const answers = JSON.parse(readFileSync(new URL("id-selectors.json", goldenFolder), "utf8")) as Answer[];

function filterOf(index: Index<IdType>, which: Which): Filter {
  if ("range" in which) return index.filter({ from: which.range[0], to: which.range[1] });
  if ("ids" in which) return index.filter(which.ids);
  if ("not" in which) return filterOf(index, which.not).not();
  if ("and" in which) return filterOf(index, which.and[0]).and(filterOf(index, which.and[1]));
  return filterOf(index, which.or[0]).or(filterOf(index, which.or[1]));
}

/** The same, asked of each id. */
function admits(which: Which, id: number): boolean {
  if ("range" in which) return id >= which.range[0] && id < which.range[1];
  if ("ids" in which) return which.ids.includes(id);
  if ("not" in which) return !admits(which.not, id);
  return "and" in which
    ? which.and.every((part) => admits(part, id))
    : which.or.some((part: Which) => admits(part, id));
}

const asFound = (D: number[], I: number[]): { distances: Float32Array; labels: BigInt64Array } => ({
  distances: Float32Array.from(D),
  labels: BigInt64Array.from(I, BigInt),
});

describe.each(goldenCases(goldenFolder).filter(({ name }) => answers.some(({ file }) => file === name)))(
  "$name",
  ({ name, file, d, queries: path, metric, factory }) => {
    const queries = floats(new URL(path, goldenFolder)).data.subarray(0, NQ * d);
    const some = Float32Array.from(IN_RANGE.flatMap((i) => [...queries.subarray(i * d, (i + 1) * d)]));
    const length = Math.max(
      ...IN_RANGE.map((i) => queries.subarray(i * d, (i + 1) * d).reduce((s, x) => s + x * x, 0)),
    );
    // As in faiss-files.test.ts: an inner product is the difference of larger numbers.
    const scale = metric === "IP" ? length : factory.includes("SQ") ? 0.05 : 0.01;

    test.each(answers.filter((answer) => answer.file === name).map((answer) => [answer.nprobe, answer] as const))(
      "nprobe %i, $which",
      async (nprobe, { which, D, I, range }) => {
        const index = await readIndex<IdType>(readFileSync(new URL(file, goldenFolder)));
        const options = nprobe === 0 ? {} : { nprobe };
        for (const filter of [
          filterOf(index, which),
          index.filter((id: number | bigint) => admits(which, Number(id))),
        ]) {
          expectAnswer(index.search(queries, K, { ...options, filter }), asFound(D, I), K, scale);
          if (range === undefined) continue;
          const found = index.rangeSearch(some, range.radius, { ...options, filter });
          expect(Array.from(found.lims)).toEqual(range.lims);
          range.lims.slice(0, -1).forEach((from, i) => {
            const [a, b] = [from, range.lims[i + 1]];
            if (b === a) return;
            expectAnswer(
              { distances: found.distances.subarray(a, b), labels: found.labels.slice(a, b) },
              asFound(range.D.slice(a, b), range.I.slice(a, b)),
              b - a,
              scale,
            );
          });
        }
      },
    );
  },
);
