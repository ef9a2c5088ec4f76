import { h } from "./dom.js";

/**
 * Features as a picture: time runs to the right, the numbers of a frame upwards.
 *
 * @param {string} title
 * @param {Float32Array} rows n x d
 * @param {[number, number]} range values of the darkest and of the brightest colour
 */
export function spectrogram(title, rows, d, [low, high]) {
  const columns = rows.length / d;
  const canvas = h("canvas", { width: columns, height: d, role: "img", "aria-label": title });
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, d);
  for (let x = 0; x < columns; x++) {
    for (let y = 0; y < d; y++) {
      const t = Math.min(1, Math.max(0, (rows[x * d + y] - low) / (high - low || 1)));
      image.data.set(colour(t), ((d - 1 - y) * columns + x) * 4);
    }
  }
  context.putImageData(image, 0, 0);
  return h("figure", { class: "spectrogram" }, h("figcaption", {}, title), canvas);
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
