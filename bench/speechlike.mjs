/**
 * Vectors like the features of speech, in any number: what stands in for recordings where a benchmark wants 100,000 of them.
 *
 * A walk over 500 phones, points of a space of 40 dimensions that the recording does not show: a phone stays for a few frames, what
 * follows it is one of 24, the track between them is smoothed, and noise and an offset for each utterance come on top. A random
 * network of two layers, always the same one, makes d numbers of it; some of these are far louder than others, as in real encoders.
 */
import { dump } from "npyjs";
import { keep, npy } from "./measure.mjs";

const LATENT = 40;
const HIDDEN = 192;
const PHONES = 500;
const FOLLOWERS = 24;
/** The seed of the phones and of the network: what differs from seed to seed is the walk. */
const WORLD = 20240607;

/** n x d such vectors, kept once they are made. Base and queries want different seeds. */
export function speechlike(n, d, seed) {
  return npy(speechlikeFile(n, d, seed));
}

/** The .npy file of such vectors, for others to read. */
export function speechlikeFile(n, d, seed) {
  return keep(`speechlike-${n}x${d}-${seed}.npy`, () => new Uint8Array(dump(generate(n, d, seed), [n, d])));
}

function generate(n, d, seed) {
  const latent = walk(n, random(seed));
  const network = makeNetwork(d, random(WORLD + d));
  const noise = random(seed * 7919 + d);
  const hidden = new Float64Array(HIDDEN);
  const out = new Float64Array(d);
  const vectors = new Float32Array(n * d);
  for (let i = 0; i < n; i++) {
    layer(latent.subarray(i * LATENT, (i + 1) * LATENT), network.first, hidden);
    for (let j = 0; j < HIDDEN; j++) hidden[j] = Math.tanh(hidden[j]);
    layer(hidden, network.second, out);
    for (let j = 0; j < d; j++) vectors[i * d + j] = Math.tanh(0.6 * out[j]) / 0.6 + 0.02 * noise.normal();
  }
  return vectors;
}

/** The track of n frames through the phones, n x LATENT. */
function walk(n, r) {
  const { centres, followers } = makePhones(random(WORLD));
  const track = new Float64Array(n * LATENT);
  const smooth = new Float64Array(LATENT);
  const noise = new Float64Array(LATENT);
  let phone = 0;
  let offset = [];
  let left = 0;
  for (let t = 0; t < n;) {
    if (left <= 0) {
      left = 150 + r.below(650);
      offset = normals(LATENT, r, 0.25);
      phone = r.below(PHONES);
    }
    // Two frames and a geometric number more; no realisation of a phone is like the other.
    const frames = Math.min(n - t, 2 + Math.ceil(Math.log(1 - r.uniform()) / Math.log(1 - 0.22)));
    const target = offset.map((x, j) => x + centres[phone * LATENT + j] + 0.35 * r.normal());
    for (const end = t + frames; t < end; t++) {
      for (let j = 0; j < LATENT; j++) {
        smooth[j] = t === 0 ? target[j] : 0.55 * smooth[j] + 0.45 * target[j];
        noise[j] = 0.7 * noise[j] + 0.18 * r.normal();
        track[t * LATENT + j] = smooth[j] + noise[j];
      }
    }
    left -= frames;
    phone = followers[phone][r.below(FOLLOWERS)];
  }
  return track;
}

/** The phones' centres and what may follow each, some phones being far more frequent than others. */
function makePhones(r) {
  const centres = normals(PHONES * LATENT, r, 1.3);
  // The square of a normal number is one of a gamma distribution: their shares are a Dirichlet draw of concentration 1/2.
  const weights = normals(PHONES, r).map((x) => x * x);
  const total = weights.reduce((sum, x) => sum + x);
  const draw = () => {
    let rest = r.uniform() * total;
    const phone = weights.findIndex((weight) => (rest -= weight) < 0);
    return phone < 0 ? PHONES - 1 : phone;
  };
  return { centres, followers: Array.from({ length: PHONES }, () => Array.from({ length: FOLLOWERS }, draw)) };
}

function makeNetwork(d, r) {
  const first = { weights: normals(LATENT * HIDDEN, r, 1 / Math.sqrt(LATENT)), bias: normals(HIDDEN, r, 0.3) };
  const second = { weights: normals(HIDDEN * d, r, 1 / Math.sqrt(HIDDEN)), bias: normals(d, r, 0.2) };
  const loudness = normals(d, r, 0.5).map(Math.exp);
  for (let i = 0; i < HIDDEN * d; i++) second.weights[i] *= loudness[i % d];
  return { first, second };
}

/** out = bias + x · weights, which are x.length x out.length; four of x at a time, x.length being a multiple of four. */
function layer(x, { weights, bias }, out) {
  const width = out.length;
  out.set(bias);
  for (let i = 0, at = 0; i < x.length; i += 4, at += 4 * width) {
    const [a, b, c, e] = [x[i], x[i + 1], x[i + 2], x[i + 3]];
    for (let j = 0, k = at; j < width; j++, k++) {
      out[j] += a * weights[k] + b * weights[k + width] + c * weights[k + 2 * width] + e * weights[k + 3 * width];
    }
  }
}

function normals(n, r, deviation = 1) {
  return Float64Array.from({ length: n }, () => deviation * r.normal());
}

/** Random numbers of a seed: sfc32 (Doty-Humphrey), 32 bits at a time. */
function random(seed) {
  let a = seed | 0;
  let b = Math.floor(seed / 2 ** 32) | 0;
  let c = 0x9e3779b9 | 0;
  let counter = 1;
  let spare;
  const next = () => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let i = 0; i < 15; i++) next();
  const uniform = () => next() / 2 ** 32;
  return {
    /** From 0 to less than 1. */
    uniform,
    /** A whole number below `end`. */
    below: (end) => Math.floor(uniform() * end),
    /** Of the normal distribution: Box and Muller make two at a time. */
    normal() {
      let x = spare;
      spare = undefined;
      if (x === undefined) {
        const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
        const angle = 2 * Math.PI * uniform();
        x = radius * Math.cos(angle);
        spare = radius * Math.sin(angle);
      }
      return x;
    },
  };
}
