import { h, svg, tableBehind } from "./dom.js";
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
  const colour = (spread) => {
    const t = Math.min(1, Math.max(0, (spread - at(0.02)) / (at(0.98) - at(0.02) || 1)));
    return `color-mix(in oklab, var(--far) ${(t * 100).toFixed(0)}%, var(--near))`;
  };
  const height = Math.round(rows * step) + 4;
  const place = ({ x, y }) => ({ cx: ((x + 0.5) * step).toFixed(1), cy: ((y + 0.5) * step + 2).toFixed(1) });
  const disc = (cell) => {
    if (cell.size === 0) return { r: step * 0.2, fill: "none", stroke: "var(--today)", "stroke-dasharray": "2,2" };
    const outline = cell.size > mean * OVERFULL ? { stroke: "var(--today)", "stroke-width": 2 } : {};
    return { r: radius(cell).toFixed(1), fill: colour(cell.spread), ...outline };
  };
  const path = walk.slice(0, steps).map((cell) => place(cells[cell]));
  return svg(
    "svg",
    { class: "plot", width, height, viewBox: `0 0 ${width} ${height}` },
    ...cells.map((cell) => svg("circle", { ...place(cell), ...disc(cell) })),
    ...(path.length === 0
      ? []
      : [
          svg("path", { d: `M${path.map(({ cx, cy }) => `${cx},${cy}`).join("L")}`, class: "walk" }),
          svg("circle", { ...path[0], r: 4, fill: "var(--paper)", stroke: "var(--ink)", "stroke-width": 1.5 }),
          svg("circle", { ...path.at(-1), r: 5, fill: "var(--ink)", stroke: "var(--paper)", "stroke-width": 2 }),
        ]),
  );
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
