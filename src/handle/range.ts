import { METRIC_INNER_PRODUCT } from "../api.js";
import { makingArrays } from "../errors.js";
import type { IndexNode, SearchParams } from "../indexes/node.js";
import { Matches } from "../lists/matches.js";
import { scratchSize } from "../wasm/engine.js";
import { copyRows } from "./input.js";

/** Bytes that a block's first matches, and their order, take beside its scratch. */
export const MATCHES_SPARE: number = 32 << 10;

/** What Index.rangeSearch finds. */
export interface Found {
  lims: Uint32Array<ArrayBuffer>;
  distances: Float32Array<ArrayBuffer>;
  labels: Int32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer>;
}

/** All vectors within a radius of n queries, block by block, best first; of equal distances the smaller label first. */
export function rangeSearch(
  node: IndexNode,
  queries: Float32Array,
  radius: number,
  params: SearchParams,
  wide: boolean,
  blockSize: number,
): Found {
  const { d } = node;
  const n = queries.length / d;
  const lims = new Uint32Array(n + 1);
  const parts: Omit<Found, "lims">[] = [];
  for (let first = 0; first < n; first += blockSize) {
    const count = Math.min(blockSize, n - first);
    parts.push(rangeOfBlock(node, queries, first, count, radius, params, wide, lims));
  }
  return makingArrays(() => {
    const found = {
      lims,
      distances: new Float32Array(lims[n]),
      labels: wide ? new BigInt64Array(lims[n]) : new Int32Array(lims[n]),
    };
    let at = 0;
    for (const { distances, labels } of parts) {
      found.distances.set(distances, at);
      (found.labels as Int32Array).set(labels as Int32Array, at);
      at += distances.length;
    }
    return found;
  });
}

function rangeOfBlock(
  node: IndexNode,
  queries: Float32Array,
  first: number,
  count: number,
  radius: number,
  params: SearchParams,
  wide: boolean,
  lims: Uint32Array,
): Omit<Found, "lims"> {
  const { engine, d } = node;
  // A radius is a float, as in faiss.
  const matches = new Matches(engine, Math.fround(radius));
  let sorted = 0;
  try {
    // What other searches took may stand where matches are to go.
    engine.dropScratch();
    engine.reserveScratch(scratchSize(count * d * 4) + node.scratchBytes(count, 0, params));
    const own = engine.takeScratch(count * d * 4);
    copyRows(queries, first * d, engine.f32, own >>> 2, count * d);
    node.range(own, count, params, matches);
    const total = matches.count;
    sorted = engine.borrow(total * 16);
    return sort(node, matches, sorted, first, count, wide, lims);
  } finally {
    engine.release(sorted);
    matches.release();
  }
}

/** Puts matches in order: by query, then best first. `at` has room for an i64, an f32 and an i32 of each. */
function sort(
  node: IndexNode,
  matches: Matches,
  at: number,
  first: number,
  count: number,
  wide: boolean,
  lims: Uint32Array,
): Omit<Found, "lims"> {
  const { engine } = node;
  const { i32, f32, i64, kernels } = engine;
  const total = matches.count;
  const [labels, keys, slots] = [at, at + total * 8, at + total * 12];
  const sign = node.metric === METRIC_INNER_PRODUCT ? -1 : 1;
  const places = new Uint32Array(count + 1);
  for (let i = 0; i < total; i++) places[i32[matches.wordOf(i)] + 1]++;
  for (let i = 0; i < count; i++) {
    places[i + 1] += places[i];
    lims[first + i + 1] = lims[first] + places[i + 1];
  }
  const ends = places.slice();
  for (let i = 0; i < total; i++) {
    const from = matches.wordOf(i);
    const place = ends[i32[from]]++;
    i32[(slots >>> 2) + place] = i32[from + 1];
    f32[(keys >>> 2) + place] = sign * f32[from + 2];
  }
  node.mapSlotsWide(slots, total, labels);
  for (let i = 0; i < total; i++) i32[(slots >>> 2) + i] = i;
  for (let i = 0; i < count; i++) {
    const [start, n] = [places[i], places[i + 1] - places[i]];
    // Places count from the block's start, and so do the labels that decide between equal keys.
    kernels.sortEntries(keys + start * 4, slots + start * 4, n, labels, kernels.L2.value);
  }
  return makingArrays(() => {
    const found = {
      distances: f32.slice(keys >>> 2, (keys >>> 2) + total),
      labels: wide ? new BigInt64Array(total) : new Int32Array(total),
    };
    for (let i = 0; i < total; i++) {
      found.distances[i] *= sign;
      const place = i32[(slots >>> 2) + i];
      found.labels[i] = wide ? i64[(labels >>> 3) + place] : i32[(labels >>> 2) + 2 * place];
    }
    return found;
  });
}
