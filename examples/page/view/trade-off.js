import { svg, tableBehind } from "./dom.js";
import { megabytes, milliseconds } from "./words.js";

/** ms until RVC's next block of 16 frames comes: what all work on one together may take. */
export const BUDGET = 250;
/** ms to the right end of the picture. */
const LONGEST = 400;

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
  const height = narrow ? 300 : 360;
  const all = [...points, ...other];
  const low = Math.min(0.1, ...all.map(({ ms }) => ms * 0.8));
  const most = Math.ceil(Math.max(0.1, ...all.map(({ error }) => error)) * 10.5) / 10;
  const [left, right, top, bottom] = [46, width - (narrow ? 16 : 24), 34, height - 44];
  const x = (ms) => left + ((right - left) * Math.log(ms / low)) / Math.log(LONGEST / low);
  const y = (error) => bottom + ((top - bottom) * error) / most;
  const at = ({ ms, error }) => ({ cx: x(ms), cy: y(error) });
  const faint = ({ size }) => (size === choice.size ? 0.9 : 0.35);
  const path = (line) => `M${line.map(({ ms, error }) => `${x(ms).toFixed(1)},${y(error).toFixed(1)}`).join("L")}`;
  const lines = (of, stroke, dash) =>
    [...new Set(of.map(({ size }) => size))].map((size) =>
      svg("path", {
        d: path(of.filter((point) => point.size === size)),
        fill: "none",
        stroke,
        "stroke-opacity": dash === undefined ? faint({ size }) : 1,
        "stroke-width": 1.5,
        "stroke-dasharray": dash,
      }),
    );
  /** Words over what they stand on. */
  const note = (point, words, fill, dx, dy, anchor = "start") =>
    label(x(point.ms) + dx, y(point.error) + dy, words, anchor, { fill, class: "note" });

  return svg(
    "svg",
    { class: "plot", width, height, viewBox: `0 0 ${width} ${height}` },
    ...steps(most).flatMap((error) => [
      svg("line", { x1: left, x2: right, y1: y(error), y2: y(error), class: "grid" }),
      label(left - 8, y(error), `${Math.round(error * 100)} %`, "end"),
    ]),
    ...[0.01, 0.1, 1, 10, 100]
      .filter((ms) => ms >= low)
      .flatMap((ms) => [
        svg("line", { x1: x(ms), x2: x(ms), y1: bottom, y2: bottom + 5, stroke: "currentColor" }),
        label(x(ms), bottom + 15, String(ms), "middle"),
      ]),
    label(0, 12, "↑ blend error", "start"),
    label(right, height - 8, "ms a block on this machine →", "end"),
    svg("line", {
      x1: x(BUDGET),
      x2: x(BUDGET),
      y1: top,
      y2: bottom,
      stroke: "var(--today)",
      "stroke-dasharray": "2,4",
    }),
    label(x(BUDGET) - 6, top + 8, narrow ? "250 ms" : "the next block comes: 250 ms", "end", { fill: "var(--today)" }),
    ...lines(other, "var(--other)", "4,3"),
    ...other.map((point) => svg("circle", { ...at(point), r: 3, fill: "var(--other)" })),
    ...lines(points, "var(--choice)"),
    ...points.map((point) =>
      svg("circle", {
        ...at(point),
        r: 3.5,
        fill: "var(--paper)",
        stroke: "var(--choice)",
        "stroke-opacity": faint(point),
        "stroke-width": 1.5,
      }),
    ),
    ...ends(points).map((point) =>
      label(x(point.ms) + 9, y(point.error), point.size === "full" ? "full size" : SHARES[point.size], "start", {
        fill: "var(--soft)",
      }),
    ),
    svg("circle", { ...at(choice), r: 8, fill: "var(--choice)", ...EDGE }),
    svg("path", { d: `M${x(today.ms)},${y(today.error) - 9}l5,9l-5,9l-5,-9z`, fill: "var(--today)", ...EDGE }),
    note(today, "today", "var(--today)", 11, 0),
    choice === today
      ? undefined
      : narrow
        ? note(choice, "your choice", "var(--choice)", 11, -12)
        : note(choice, "your choice", "var(--choice)", -13, 3, "end"),
  );
}

const EDGE = { stroke: "var(--paper)", "stroke-width": 2 };

function label(x, y, words, anchor, attributes = {}) {
  return svg("text", { x, y, dy: "0.32em", "text-anchor": anchor, fill: "currentColor", ...attributes }, words);
}

/** Some round errors up to the largest. */
function steps(most) {
  const step = [0.02, 0.05, 0.1, 0.2, 0.5].find((size) => most / size <= 6) ?? 1;
  return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, i) => i * step);
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
