import type { Command } from "commander";
import { METRIC_L2 } from "../api.js";
import { openIndex, readVectors } from "./files.js";
import { npyChunks } from "./npy-output.js";
import { forceOption, jsonOption, kOption, nprobeOption } from "./options.js";
import type { SearchFlags } from "./options.js";
import { checkTargets, writeFiles } from "./output.js";
import { listsScanned } from "./parts.js";
import { inBlocks, InputError, run } from "./run.js";
import { count, table, whole } from "./text.js";

/** What is printed of results for people. */
const ROWS = 10;
const COLUMNS = 8;

/** Adds `cellist search`. */
export function addSearch(program: Command): void {
  program
    .command("search")
    .summary("find the nearest vectors of queries")
    .description(
      "Finds the nearest vectors of each query, best first. Prints the first results, or writes all of them.",
    )
    .argument("<file>", "the index file")
    .argument("<queries>", "an .npy file of floats, [n, d]")
    .addOption(kOption())
    .addOption(nprobeOption())
    .option("--out <prefix>", "write PREFIX.D.npy (distances, float32) and PREFIX.I.npy (ids, int64), [n, k]")
    .addOption(forceOption())
    .addOption(jsonOption())
    .addHelpText("after", "\nExample:\n  cellist search alice.index queries.npy -k 4 --nprobe 16 --out result")
    .action((file: string, queries: string, { k, nprobe, json = false, out, force }: SearchFlags) =>
      run(json, async (watch, ask) => {
        const targets = out === undefined ? [] : [`${out}.D.npy`, `${out}.I.npy`];
        await checkTargets(targets, { inputs: [file, queries], force, ask });
        const { index } = await openIndex(file, watch);
        const { d, metric, ntotal } = index;
        const { rows } = await readVectors(queries, d, watch);
        const n = rows.length / d;
        const { distances, labels } = results(n, k);
        const seconds = await inBlocks("search", n, watch, (first, end) => {
          const into = [distances.subarray(first * k, end * k), labels.subarray(first * k, end * k)] as const;
          index.searchInto(rows.subarray(first * d, end * d), k, ...into, { nprobe });
        });

        const lists = listsScanned(index, nprobe);
        const scanned = lists === null ? "" : `, nprobe ${lists}`;
        const how = `${count(n, "query", "queries")}, ${whole(k)} nearest of ${whole(ntotal)} each${scanned}, ${seconds} s`;
        const data = { queries: n, k, nprobe: lists, seconds };
        if (out === undefined) {
          const rowsOf = <T>(values: Iterable<T>): T[][] => cut([...values], k);
          const measure = metric === METRIC_L2 ? "squared distance" : "inner product";
          return {
            text: `${how}\n${firstRows(distances, labels, n, k, measure)}`,
            data: json ? { ...data, distances: rowsOf(distances), labels: rowsOf(labels) } : data,
          };
        }
        await writeFiles(
          [
            { path: targets[0], chunks: npyChunks(distances, [n, k]) },
            { path: targets[1], chunks: npyChunks(labels, [n, k]) },
          ],
          watch.signal,
        );
        return {
          text: `${how}\n${table({ distances: targets[0], ids: targets[1] })}`,
          data: { ...data, files: { distances: targets[0], labels: targets[1] } },
        };
      }),
    );
}

function results(n: number, k: number): { distances: Float32Array<ArrayBuffer>; labels: BigInt64Array<ArrayBuffer> } {
  try {
    return { distances: new Float32Array(n * k), labels: new BigInt64Array(n * k) };
  } catch {
    throw new InputError(
      `${count(n, "query", "queries")} with -k ${k} ask for ${whole(n * k)} results, more than memory holds: give a smaller -k`,
    );
  }
}

/** Values row by row. */
function cut<T>(values: readonly T[], k: number): T[][] {
  return Array.from({ length: values.length / k }, (_, i) => values.slice(i * k, i * k + k));
}

/** The first results as a table: a line for each query, an id and its distance for each neighbour. */
function firstRows(distances: Float32Array, labels: BigInt64Array, n: number, k: number, measure: string): string {
  const [rows, columns] = [Math.min(n, ROWS), Math.min(k, COLUMNS)];
  const cells = Array.from({ length: rows }, (_, row) => [
    String(row),
    ...Array.from({ length: columns }, (_, column) => {
      const at = row * k + column;
      return labels[at] === -1n ? "-" : `${labels[at]} (${Number(distances[at].toPrecision(4))})`;
    }),
  ]);
  const widths = Array.from({ length: columns + 1 }, (_, column) =>
    Math.max(...cells.map((row) => row[column].length)),
  );
  const lines = cells.map((row) => `  ${row.map((cell, column) => cell.padStart(widths[column])).join("  ")}`);
  const left = [
    ...(n > rows ? [count(n - rows, "more query", "more queries")] : []),
    ...(k > columns ? [count(k - columns, "more column", "more columns")] : []),
  ];
  return [
    `  query, then ids (${measure}), best first`,
    ...lines,
    ...(left.length === 0 ? [] : [`  … and ${left.join(", ")}: --out writes all, --json prints all`]),
  ].join("\n");
}
