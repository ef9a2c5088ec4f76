import { h } from "./dom.js";

/**
 * Features as a picture: time runs to the right, the numbers of a frame upwards.
 *
 * @param {string} title
 * @param {Float32Array} rows n x d
 * @param {[number, number]} range values of the darkest and of the brightest colour
 */
export function spectrogram(title, rows, d, [low, high]) {
  const { columns, bands, value } = layout(rows, d);
  const canvas = h("canvas", { width: columns, height: bands, role: "img", "aria-label": title });
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, bands);
  for (let x = 0; x < columns; x++) {
    for (let y = 0; y < bands; y++) {
      const t = Math.min(1, Math.max(0, (value(x, y) - low) / (high - low)));
      image.data.set(colour(t), ((bands - 1 - y) * columns + x) * 4);
    }
  }
  context.putImageData(image, 0, 0);
  return h("figure", { class: "spectrogram" }, h("figcaption", {}, title), canvas);
}

/** Of a log-mel row the two middle spectra are shown, of any other row each number. */
function layout(rows, d) {
  const n = rows.length / d;
  if (d !== 256) return { columns: n, bands: d, value: (x, y) => rows[x * d + y] };
  return { columns: n * 2, bands: 64, value: (x, y) => rows[(x >> 1) * d + (1 + (x & 1)) * 64 + y] };
}

/** Dark to bright through violet and orange, evenly in lightness. */
const STOPS = [
  [13, 10, 33],
  [84, 25, 105],
  [177, 46, 101],
  [242, 116, 74],
  [252, 236, 190],
];

function colour(t) {
  const at = Math.min(STOPS.length - 1.001, t * (STOPS.length - 1));
  const [a, b] = [STOPS[Math.floor(at)], STOPS[Math.floor(at) + 1]];
  return [...a.map((value, i) => value + (b[i] - value) * (at % 1)), 255];
}

/** The value below which a share of all lie. */
export function quantile(values, q) {
  return values.slice().sort()[Math.floor((values.length - 1) * q)];
}
