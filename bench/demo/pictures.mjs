import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { PNG } from "pngjs";
import { K } from "./measure.mjs";

const { document } = parseHTML("<html></html>");

/** What of a result is plotted over the time of its block, and which way is better. */
const MEASURES = {
  recall: { label: `↑ recall@${K}`, title: `recall@${K} over the time of a block` },
  error: { label: "↑ blend error", title: "blend error over the time of a block" },
};

/**
 * Time of a block against what it finds, or against how far its blend is off: how much patience buys how much accuracy.
 *
 * @param {import("./measure.mjs").Result[]} results
 * @param {"recall" | "error"} y
 * @param {number} budget ms until the next block comes
 * @param {number} width in pixels
 * @returns {string} an SVG
 */
export function tradeOff(results, y, budget, width) {
  const searches = results.filter(({ nprobe }) => nprobe !== undefined);
  const exact = results.filter(({ nprobe }) => nprobe === undefined);
  const x = "median";
  const values = results.map((result) => result[y]);
  const domain =
    y === "recall"
      ? [Math.floor(Math.min(...values) * 10) / 10, 1]
      : [0, Math.max(0.1, Math.ceil(Math.max(...values) * 10) / 10)];
  const label = { x, y, fill: "currentColor", lineWidth: 6, textAnchor: "start", lineAnchor: "middle", dx: 9 };
  return svg({
    ariaLabel: MEASURES[y].title,
    width,
    height: Math.max(280, Math.round(width * 0.45)),
    marginLeft: 48,
    marginTop: 32,
    marginRight: 34,
    marginBottom: 44,
    x: { type: "log", label: "ms for a block: median, and a line to p95 →", ...ticks(results, budget) },
    y: { domain, label: MEASURES[y].label, grid: true, ticks: 5 },
    marks: [
      Plot.ruleX([budget], { stroke: "currentColor", strokeDasharray: "2,4" }),
      Plot.text([budget], {
        x: (at) => at,
        text: () => `the next block comes: ${budget} ms`,
        frameAnchor: y === "recall" ? "bottom" : "top",
        textAnchor: "end",
        dx: -6,
        dy: y === "recall" ? -6 : 6,
        fill: "currentColor",
      }),
      Plot.line(searches, { x, y, stroke: "var(--accent)", strokeOpacity: 0.4, strokeWidth: 2 }),
      Plot.ruleY(results, { x1: "median", x2: "p95", y, stroke: (r) => colour(r), strokeOpacity: 0.6 }),
      Plot.dot(searches, { x, y, r: 5, fill: "var(--accent)" }),
      Plot.dot(exact, { x, y, r: 5, fill: "var(--exact)", symbol: "diamond" }),
      Plot.text(searches.slice(0, 3), { ...label, text: (r) => String(r.nprobe) }),
      Plot.text(exact, {
        ...label,
        text: "name",
        textAnchor: "middle",
        lineAnchor: y === "recall" ? "top" : "bottom",
        dx: 0,
        dy: y === "recall" ? 9 : -9,
      }),
    ],
  });
}

/** Powers of ten over the range of the times and of the block's own. */
function ticks(results, budget) {
  const low = Math.min(...results.map((r) => r.median)) * 0.9;
  const high = Math.max(budget, ...results.map((r) => r.p95)) * 1.6;
  const round = [-3, -2, -1, 0, 1, 2, 3].map((power) => Number(`1e${power}`));
  return { domain: [low, high], ticks: round.filter((t) => t >= low && t <= high), tickFormat: String };
}

function colour({ nprobe }) {
  return nprobe === undefined ? "var(--exact)" : "var(--accent)";
}

/** Frames in a row of features, bands in a frame, and the frames of each row that make up the picture. */
const FRAMES = 4;
const BANDS = 64;
const SHOWN = [1, 2];

/**
 * Features as a spectrogram: time to the right, frequency up, bright where it is loud. Rows
 * overlap; of each, the middle two frames are shown.
 *
 * @param {string} title for those who don't see it
 * @param {Float32Array} rows n x 256, four frames of 64 bands in each
 * @param {[number, number]} range values of the darkest and the brightest colour
 * @param {number} seconds the time it takes
 * @param {number} width in pixels
 */
export function spectrogram(title, rows, range, seconds, width) {
  const [low, high] = range;
  const columns = (rows.length / (FRAMES * BANDS)) * SHOWN.length;
  const png = new PNG({ width: columns, height: BANDS, colorType: 2 });
  for (let column = 0; column < columns; column++) {
    const row = Math.floor(column / SHOWN.length) * FRAMES * BANDS;
    const frame = row + SHOWN[column % SHOWN.length] * BANDS;
    for (let band = 0; band < BANDS; band++) {
      const rgb = palette[Math.round(255 * Math.min(1, Math.max(0, (rows[frame + band] - low) / (high - low))))];
      png.data.set([...rgb, 255], ((BANDS - 1 - band) * columns + column) * 4);
    }
  }
  const src = `data:image/png;base64,${PNG.sync.write(png, { colorType: 2 }).toString("base64")}`;
  const margins = { marginLeft: 30, marginRight: 14, marginTop: 22, marginBottom: 34 };
  const height = 206;
  return svg({
    ...margins,
    ariaLabel: title,
    width,
    height,
    x: { domain: [0, seconds], label: "seconds →", ticks: width < 500 ? 4 : 8 },
    y: { domain: [0, BANDS], label: "↑ frequency: mel bands", ticks: [0, 32, 64] },
    marks: [
      Plot.image([src], {
        src: (d) => d,
        frameAnchor: "middle",
        width: width - margins.marginLeft - margins.marginRight,
        height: height - margins.marginTop - margins.marginBottom,
        preserveAspectRatio: "none",
        imageRendering: "pixelated",
      }),
    ],
  });
}

const magma = Plot.scale({ color: { type: "linear", scheme: "magma", domain: [0, 255] } });
const palette = Array.from({ length: 256 }, (_, i) => {
  const colour = magma.apply(i);
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
});

function svg(options) {
  return Plot.plot({ document, style: { fontSize: "13px", background: "none" }, ...options }).outerHTML;
}
