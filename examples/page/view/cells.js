import { dot, line, plot } from "@observablehq/plot";
import { h, tableBehind } from "./dom.js";
import { count } from "./words.js";

/** Cells with more than so many times the mean are overfull: a search that hits one pays for it. */
const OVERFULL = 3;

/**
 * The cells: a disc each, its area the frames that it holds, its colour how far they lie from its centre.
 *
 * @param {{ cells: { x: number, y: number, size: number, spread: number }[], columns: number, walk: number[] }} picture
 * @param {number} steps how much of the walk is drawn
 */
export function cellPlot({ cells, columns, walk }, width, steps) {
  const rows = Math.max(...cells.map(({ y }) => y)) + 1;
  const step = width / columns;
  const mean = cells.reduce((sum, { size }) => sum + size, 0) / cells.length;
  const radius = ({ size }) => Math.min(step * 0.62, Math.sqrt(size / mean) * step * 0.36);
  const spreads = cells
    .filter(({ size }) => size > 0)
    .map(({ spread }) => spread)
    .sort((a, b) => a - b);
  const at = (q) => spreads[Math.floor(q * (spreads.length - 1))] ?? 0;
  const path = walk.slice(0, steps).map((cell) => cells[cell]);
  return plot({
    width,
    height: Math.round(rows * step) + 4,
    margin: step / 2,
    style: { background: "none", overflow: "visible" },
    x: { axis: null, domain: [0, columns - 1] },
    y: { axis: null, domain: [rows - 1, 0] },
    r: { type: "identity" },
    color: {
      type: "linear",
      domain: [at(0.02), at(0.98)],
      range: ["var(--near)", "var(--far)"],
      interpolate: mix,
      clamp: true,
    },
    marks: [
      dot(
        cells.filter(({ size }) => size > 0),
        { x: "x", y: "y", r: radius, fill: "spread" },
      ),
      dot(
        cells.filter(({ size }) => size === 0),
        { x: "x", y: "y", r: step * 0.2, stroke: "var(--today)", strokeDasharray: "2,2" },
      ),
      dot(
        cells.filter(({ size }) => size > mean * OVERFULL),
        { x: "x", y: "y", r: radius, stroke: "var(--today)", strokeWidth: 2 },
      ),
      line(path, {
        x: "x",
        y: "y",
        stroke: "var(--ink)",
        strokeWidth: 1.6,
        strokeOpacity: 0.8,
        strokeLinejoin: "round",
      }),
      dot(path.slice(0, 1), { x: "x", y: "y", r: 4, fill: "var(--paper)", stroke: "var(--ink)", strokeWidth: 1.5 }),
      dot(path.slice(-1), { x: "x", y: "y", r: 5, fill: "var(--ink)", stroke: "var(--paper)", strokeWidth: 2 }),
    ],
  });
}

/** Colours of the page's own scheme, whatever that is, can be mixed by the browser alone. */
function mix(from, to) {
  return (t) => `color-mix(in oklab, ${to} ${(t * 100).toFixed(0)}%, ${from})`;
}

/** What the picture says, in words. */
export function cellWords({ cells }) {
  const sizes = cells.map(({ size }) => size).sort((a, b) => a - b);
  const mean = sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
  const empty = sizes.filter((size) => size === 0).length;
  const few = sizes.filter((size) => size < 8).length;
  const overfull = sizes.filter((size) => size > mean * OVERFULL).length;
  return h(
    "p",
    {},
    `${count(cells.length)} cells of ${sizes[0]} to ${count(sizes.at(-1))} frames, half of them below ${sizes[sizes.length >> 1]}. `,
    `${few === 0 ? "None has" : few === 1 ? "One has" : `${count(few)} have`} fewer than the 8 neighbours that RVC wants; `,
    `${empty === 0 ? "none is" : empty === 1 ? "one is" : `${count(empty)} are`} empty, `,
    `${overfull === 0 ? "none is" : overfull === 1 ? "one is" : `${count(overfull)} are`} overfull.`,
  );
}

export function cellTable({ cells }) {
  const order = cells.map((cell, i) => ({ ...cell, i })).sort((a, b) => b.size - a.size);
  return tableBehind(
    "The cells as a table",
    ["cell", "frames", "spread"],
    order.map(({ i, size, spread }) => [String(i), count(size), spread.toFixed(2)]),
  );
}
