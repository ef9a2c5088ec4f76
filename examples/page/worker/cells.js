import { readLists } from "./faiss-lists.js";

/**
 * What there is to see of the cells of a voice.
 *
 * @param {Blob} file
 * @param {(ids: number[]) => Float32Array} rowsOf frames by their ids
 * @param {Float32Array} walk frames of a stretch of speech, to be followed through the cells
 * @returns {Promise<{ cells: { x: number, y: number, size: number, spread: number }[], columns: number, walk: number[] } | undefined>}
 *   cells on a grid on which neighbours are near each other, each with how many frames it has and how far these are from its centre on
 *   average; the walk as cells, one for each frame
 */
export async function cellsOf(file, rowsOf, walk) {
  const found = await readLists(file);
  if (found === undefined) return undefined;
  const { nlist, d, centroids, lists } = found;
  const { places, columns } = arrange(centroids, nlist, d);
  const cells = lists.map((ids, list) => ({
    ...places[list],
    size: ids.length,
    spread: ids.length === 0 ? 0 : spread(rowsOf(ids), centroids, list * d, d),
  }));
  return {
    cells,
    columns,
    walk: Array.from({ length: walk.length / d }, (_, i) => nearest(centroids, walk, i * d, d)),
  };
}

/** The mean distance of frames from the centre of their cell. */
function spread(rows, centroids, centre, d) {
  let sum = 0;
  for (let at = 0; at < rows.length; at += d) sum += Math.sqrt(squared(rows, at, centroids, centre, d));
  return sum / (rows.length / d);
}

function nearest(centroids, rows, at, d) {
  let best = 0;
  let least = Infinity;
  for (let list = 0; list * d < centroids.length; list++) {
    const distance = squared(rows, at, centroids, list * d, d);
    if (distance < least) [best, least] = [list, distance];
  }
  return best;
}

function squared(a, i, b, j, d) {
  let sum = 0;
  for (let end = i + d; i < end; i++, j++) sum += (a[i] - b[j]) ** 2;
  return sum;
}

/** Principal components that neighbourhood is judged by. */
const COMPONENTS = 12;
/** Pairs of cells, for each cell, that are tried in each other's place. */
const TRIALS = 1500;

/**
 * Puts centres on a grid: along their first principal component into columns, each of these along the second, and from there by
 * exchanging pairs as long as that brings like ones together.
 */
function arrange(centroids, n, d) {
  const points = reduce(centroids, n, d);
  const width = Math.max(1, Math.round(Math.sqrt(n * 1.6)));
  const height = Math.ceil(n / width);
  const columns = Math.ceil(n / height);
  const by = (c) => (a, b) => points[a * COMPONENTS + c] - points[b * COMPONENTS + c];
  const order = Array.from({ length: n }, (_, i) => i).sort(by(0));
  const grid = [];
  for (let x = 0; x < columns; x++) grid.push(...order.slice(x * height, (x + 1) * height).sort(by(1)));
  exchange(grid, points, height);
  const places = [];
  grid.forEach((cell, i) => (places[cell] = { x: Math.floor(i / height), y: i % height }));
  return { places, columns };
}

function exchange(grid, points, height) {
  const n = grid.length;
  const around = grid.map((_, i) => {
    const up = i % height > 0 ? [i - 1, i - height - 1, i + height - 1] : [];
    const down = i % height < height - 1 ? [i + 1, i + height + 1, i - height + 1] : [];
    return [i - height, i + height, ...up, ...down].filter((j) => j >= 0 && j < n);
  });
  const cost = (cell, at, but) => {
    let sum = 0;
    for (const j of around[at])
      if (j !== but) sum += squared(points, cell * COMPONENTS, points, grid[j] * COMPONENTS, COMPONENTS);
    return sum;
  };
  let random = 1;
  for (let trial = 0; trial < TRIALS * n; trial++) {
    random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
    const a = (random >>> 8) % n;
    random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
    const b = (random >>> 8) % n;
    const [cellA, cellB] = [grid[a], grid[b]];
    if (cost(cellA, b, a) + cost(cellB, a, b) < cost(cellA, a, b) + cost(cellB, b, a))
      [grid[a], grid[b]] = [cellB, cellA];
  }
}

/** Centres by their first principal components, the first one counting most. */
function reduce(centroids, n, d) {
  const mean = new Float64Array(d);
  for (let i = 0; i < n * d; i++) mean[i % d] += centroids[i] / n;
  const rest = Float64Array.from(centroids, (value, i) => value - mean[i % d]);
  const points = new Float64Array(n * COMPONENTS);
  for (let c = 0; c < COMPONENTS; c++) {
    const axis = component(rest, n, d);
    const along = project(rest, axis, n, d);
    for (let i = 0; i < n; i++) points[i * COMPONENTS + c] = along[i];
    for (let i = 0; i < n * d; i++) rest[i] -= along[Math.floor(i / d)] * axis[i % d];
  }
  return points;
}

/** The direction in which rows differ most, by power iteration. */
function component(rows, n, d) {
  let axis = Float64Array.from({ length: d }, (_, i) => 1 + (i % 7) / 7);
  for (let round = 0; round < 12; round++) {
    const along = project(rows, axis, n, d);
    const next = new Float64Array(d);
    for (let i = 0; i < n; i++) for (let j = 0; j < d; j++) next[j] += along[i] * rows[i * d + j];
    const norm = Math.sqrt(next.reduce((sum, value) => sum + value * value, 0)) || 1;
    axis = next.map((value) => value / norm);
  }
  return axis;
}

function project(rows, axis, n, d) {
  const along = new Float64Array(n);
  for (let i = 0; i < n; i++) for (let j = 0; j < d; j++) along[i] += rows[i * d + j] * axis[j];
  return along;
}
