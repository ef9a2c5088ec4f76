import { dot, line, plot, ruleX, text } from "@observablehq/plot";
import { tableBehind } from "./dom.js";
import { megabytes, milliseconds } from "./words.js";

/** ms until RVC's next block of 16 frames comes: what all work on one together may take. */
export const BUDGET = 250;
const FONT = { fontSize: "13px", fontFamily: "inherit", background: "none" };

/** The words for a size. */
export function sizeName(size) {
  return size === "full" ? "as it is" : `${SHARES[size]} of the size`;
}
const SHARES = { half: "1/2", quarter: "1/4", eighth: "1/8", sixteenth: "1/16" };

/**
 * Blend error against the time of a block: every setting that was measured, the file as it is, and the choice.
 *
 * @param {{ points: any[], today: any, choice: any, other?: any[] }} shown `other` are points of another file
 * @param {number} width in pixels
 */
export function tradeOff({ points, today, choice, other = [] }, width) {
  const narrow = width < 500;
  const x = "ms";
  const y = "error";
  const low = Math.min(0.1, ...[...points, ...other].map(({ ms }) => ms * 0.8));
  const most = Math.max(0.1, ...[...points, ...other].map(({ error }) => error));
  const faint = ({ size }) => (size === choice.size ? 0.9 : 0.35);
  const note = { x, y, fontSize: 13, fontWeight: 600, stroke: "var(--paper)", strokeWidth: 5, paintOrder: "stroke" };
  return plot({
    width,
    height: narrow ? 300 : 360,
    marginLeft: 46,
    marginRight: narrow ? 16 : 24,
    marginTop: 34,
    marginBottom: 44,
    style: FONT,
    x: {
      type: "log",
      domain: [low, 400],
      label: "ms a block on this machine →",
      ticks: [0.01, 0.1, 1, 10, 100].filter((tick) => tick >= low),
      tickFormat: String,
    },
    y: {
      domain: [0, Math.ceil(most * 10.5) / 10],
      label: "↑ blend error",
      tickFormat: (v) => `${Math.round(v * 100)} %`,
      grid: true,
      ticks: 5,
    },
    marks: [
      ruleX([BUDGET], { stroke: "var(--today)", strokeDasharray: "2,4" }),
      text([{ x: BUDGET }], {
        x: "x",
        frameAnchor: "top",
        text: () => (narrow ? "250 ms" : "the next block comes: 250 ms"),
        textAnchor: "end",
        dx: -6,
        dy: 2,
        fill: "var(--today)",
      }),
      line(other, { x, y, z: "size", stroke: "var(--other)", strokeWidth: 1.5, strokeDasharray: "4,3" }),
      dot(other, { x, y, r: 3, fill: "var(--other)" }),
      line(points, { x, y, z: "size", stroke: "var(--choice)", strokeOpacity: faint, strokeWidth: 1.5 }),
      dot(points, {
        x,
        y,
        r: 3.5,
        fill: "var(--paper)",
        stroke: "var(--choice)",
        strokeOpacity: faint,
        strokeWidth: 1.5,
      }),
      text(ends(points), {
        x,
        y,
        text: ({ size }) => (size === "full" ? "full size" : SHARES[size]),
        textAnchor: "start",
        dx: 9,
        fill: "var(--soft)",
      }),
      dot([choice], { x, y, r: 8, fill: "var(--choice)", stroke: "var(--paper)", strokeWidth: 2 }),
      dot([today], { x, y, r: 6, fill: "var(--today)", symbol: "diamond", stroke: "var(--paper)", strokeWidth: 2 }),
      text([today], { ...note, text: () => "today", fill: "var(--today)", textAnchor: "start", dx: 11 }),
      choice === today
        ? undefined
        : text([choice], {
            ...note,
            text: () => "your choice",
            fill: "var(--choice)",
            textAnchor: narrow ? "start" : "end",
            dx: narrow ? 11 : -13,
            dy: narrow ? -12 : 3,
          }),
    ],
  });
}

/** Where the line of each size ends, and its name goes: unless names would lie over each other. */
function ends(points) {
  const last = new Map(points.map((point) => [point.size, point]));
  return [...last.values()].filter(
    (point, i, all) => !all.slice(i + 1).some((other) => Math.abs(other.error - point.error) < 0.03),
  );
}

/** The same for those who don't see it. */
export function tradeOffTable(points) {
  return tableBehind(
    "The numbers behind the picture",
    ["size", "nprobe", "file", "recall@8", "blend error", "a block"],
    points.map((p) => [
      sizeName(p.size),
      String(p.nprobe),
      megabytes(p.bytes),
      p.recall.toFixed(3),
      p.error.toFixed(3),
      milliseconds(p.ms),
    ]),
  );
}
