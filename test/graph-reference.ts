// HNSW as it is defined, in scalar code without any cleverness: how a graph is built, and what a search of it finds.

import type { Metric } from "../src/index.js";
import { best, keyOf, rowOf } from "./reference.js";
import type { Candidate } from "./reference.js";

/** A graph: the lists of each vertex, level 0 first. */
export interface Graph {
  lists: number[][][];
  /** The most links of a list of each level. */
  widths: number[];
  entry: number;
  top: number;
}

/** Reads a graph out of an HNSW file, field by field. */
export function graphOf(file: Uint8Array): Graph {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  let at = 37;
  const vector = (bytes: number): number => {
    const start = at + 8;
    at = start + Number(view.getBigUint64(at, true)) * bytes;
    return start;
  };
  const i32s = (): number[] => {
    const start = vector(4);
    return Array.from({ length: (at - start) / 4 }, (_, i) => view.getInt32(start + i * 4, true));
  };
  vector(8);
  const cumulated = i32s();
  const levels = i32s();
  vector(8);
  const links = i32s();
  let start = 0;
  const lists = levels.map((count) => {
    const own = Array.from({ length: count }, (_, level) =>
      links.slice(start + cumulated[level], start + cumulated[level + 1]).filter((link) => link >= 0),
    );
    start += cumulated[count];
    return own;
  });
  const widths = cumulated.slice(1).map((width, level) => width - cumulated[level]);
  return { lists, widths, entry: view.getInt32(at, true), top: view.getInt32(at + 4, true) };
}

type KeyTo = (vertex: number) => number;

/** Goes to ever nearer neighbours on one level. */
function descend(graph: Graph, level: number, start: number, key: KeyTo): number {
  for (let nearest = start; ;) {
    let next = nearest;
    for (const link of graph.lists[nearest][level]) if (key(link) < key(next)) next = link;
    if (next === nearest) return nearest;
    nearest = next;
  }
}

/**
 * Looks behind the nearest vertex that was not looked behind yet, until there is none among the `room` nearest. `stop` says of how
 * many nearer ones of these to leave off.
 */
function explore(graph: Graph, level: number, start: number, room: number, stop: number, key: KeyTo): Candidate[] {
  const seen = new Map([[start, key(start)]]);
  const expanded = new Set<number>();
  let kept: { id: number; key: number }[] = [{ id: start, key: key(start) }];
  for (;;) {
    const next = kept.find(({ id }) => !expanded.has(id));
    if (next === undefined || kept.filter((other) => other.key < next.key).length >= stop) break;
    expanded.add(next.id);
    for (const link of graph.lists[next.id][level]) {
      if (seen.has(link)) continue;
      seen.set(link, key(link));
      kept = [...kept, { id: link, key: key(link) }].sort((a, b) => a.key - b.key).slice(0, room);
    }
  }
  return Array.from(seen, ([id, own]) => ({ id, key: own }));
}

/** The k nearest that a search finds, or of those that it sees on its way more; `admitted` says which vertices may be found. */
export function searchGraph(
  graph: Graph,
  rows: Float32Array,
  query: Float32Array,
  metric: Metric,
  k: number,
  ef: number,
  admitted: (slot: number) => boolean = () => true,
  most = k,
): Candidate[] {
  if (graph.entry < 0) return [];
  const key: KeyTo = (vertex) => keyOf(query, rowOf(rows, query.length, vertex), metric);
  let nearest = graph.entry;
  for (let level = graph.top; level > 0; level--) nearest = descend(graph, level, nearest, key);
  const seen = explore(graph, 0, nearest, Math.max(k, ef), ef, key);
  return best(
    seen.filter(({ id }) => admitted(Number(id))),
    most,
    metric,
  );
}

/** Adds the vertices to a graph that has none, in the order given, each up to its level. */
export function buildGraph(
  rows: Float32Array,
  d: number,
  metric: Metric,
  { widths, levels, order, ef }: { widths: number[]; levels: number[]; order: number[]; ef: number },
): Graph {
  const graph: Graph = {
    lists: levels.map((top) => Array.from({ length: top + 1 }, () => [])),
    widths,
    entry: -1,
    top: -1,
  };
  const between = (a: number, b: number): number => keyOf(rowOf(rows, d, a), rowOf(rows, d, b), metric);
  const thin = (of: number, others: number[], most: number): number[] => {
    const kept: number[] = [];
    for (const one of [...others].sort((a, b) => between(of, a) - between(of, b))) {
      if (kept.length < most && kept.every((other) => between(one, other) >= between(of, one))) kept.push(one);
    }
    return kept;
  };
  for (const vertex of order) {
    const highest = levels[vertex];
    if (graph.entry >= 0) {
      const key: KeyTo = (other) => between(vertex, other);
      let nearest = graph.entry;
      for (let level = graph.top; level > highest; level--) nearest = descend(graph, level, nearest, key);
      for (let level = Math.min(highest, graph.top); level >= 0; level--) {
        const seen = explore(graph, level, nearest, ef, Infinity, key).sort((a, b) => a.key - b.key);
        const found = seen.slice(0, ef).map(({ id }) => Number(id));
        const width = widths[level];
        const links = found.length < width ? found : thin(vertex, found, width);
        graph.lists[vertex][level] = [...links].reverse();
        for (const other of graph.lists[vertex][level]) {
          const list = graph.lists[other][level];
          // A full list is thinned out to four fifths.
          if (list.length === width)
            graph.lists[other][level] = thin(other, [vertex, ...list], Math.trunc(width * 0.8)).reverse();
          else list.push(vertex);
        }
      }
    }
    if (highest > graph.top) {
      graph.entry = vertex;
      graph.top = highest;
    }
  }
  return graph;
}
