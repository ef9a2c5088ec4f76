import { readFileSync } from "node:fs";
import { BLOCK, K, RATE } from "./measure.mjs";
import { spectrogram, tradeOff } from "./pictures.mjs";

/** Rows of the spectrograms: two seconds or so. */
const SHOWN_ROWS = 96;
/** Widths that pictures are drawn for: a page's and a phone's. */
const WIDTHS = { wide: 720, narrow: 340 };

const css = readFileSync(new URL("report.css", import.meta.url), "utf8");

/**
 * A page that stands alone: words, table and pictures of one run.
 *
 * @param {object} run
 * @param {Record<string, any>} run.facts what was built, and where
 * @param {import("./measure.mjs").Result[]} run.results
 * @param {{ raw: Float32Array, blended: Float32Array, name: string }} run.picture features before and after a blend
 * @returns {string} HTML
 */
export function report({ facts, results, picture }) {
  const count = new Intl.NumberFormat("en").format;
  const tiles = {
    speech: `${facts.seconds.toFixed(0)} s`,
    frames: count(facts.rows),
    lists: count(facts.nlist),
    file: `${(facts.bytes / 1e6).toFixed(1)} MB`,
    "built in": `${(facts.buildTime / 1000).toFixed(2)} s`,
    "opened in": `${facts.openTime.toFixed(0)} ms`,
  };
  const [fastest] = results;
  const exact = results.at(-1);
  const good = results.find(({ recall }) => recall >= 0.9) ?? exact;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>cellist: a voice index at work</title>
<style>${css}</style>
</head>
<body>
<h1>A voice index at work</h1>
<p>Voice conversion lets you speak with another voice. Speech is cut into frames, ${facts.rowsPerSecond} a second, and a frame is a row of
${facts.d} numbers. To sound more like the wanted voice, each frame you speak is moved towards the frames of that voice which are most
like it. Finding those, many times a second, is what this library is for.</p>
<p>An index keeps the frames of a voice in lists of similar ones. A search looks into those few lists that are nearest, as many as
<b>nprobe</b> says: the more lists, the surer it finds the best frames, and the longer it takes. The index is one file, in the format of
<i>faiss</i>, the Python library that voice changers use for it.</p>
<dl>${Object.entries(tiles)
    .map(([name, value]) => `<div><dt>${name}</dt><dd>${value}</dd></div>`)
    .join("")}</dl>

<h2>How good, and how fast</h2>
<p>${facts.blocks} blocks of ${BLOCK} frames, of sentences that the index does not hold, were searched and blended. A block is
${facts.blockMs} ms of speech. With ${fastest.name} it took ${time(fastest.median)} and ${percent(fastest.recall)} of the ${K} best
frames were found; with ${good.name} it took ${time(good.median)} and
${percent(good.recall)} were found. Comparing each frame with all frames of the voice took ${time(exact.median)}.</p>
<table>
<thead><tr><th>search</th><th>recall@${K}</th><th>blend error</th><th>median, ms</th><th>p95, ms</th></tr></thead>
<tbody>
${results
  .map((r) => {
    const cells = [r.name, r.recall.toFixed(3), r.error.toFixed(3), r.median.toFixed(2), r.p95.toFixed(2)];
    return `<tr${r === exact ? ' class="exact"' : ""}>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
  })
  .join("\n")}
</tbody>
</table>
<p><small><b>recall@${K}</b>: the share of the ${K} truly nearest frames that was found. <b>Blend error</b>: how far the result is from
that of the exact search, as a share of the way that the exact search moves a frame. <b>Median</b> and <b>p95</b>: the time to search and blend
a block; 95 of 100 blocks took no longer than p95.</small></p>
<figure>
${bothWidths((width) => tradeOff(results, "recall", facts.budget, width))}
<figcaption>Each dot is a search; the first ones tell how many lists they look into (nprobe), each further one twice as many. Up is better,
left is faster. The dotted line is when RVC brings the next block: what is left of it keeps up.</figcaption>
</figure>
<figure>
${bothWidths((width) => tradeOff(results, "error", facts.budget, width))}
<figcaption>What you would hear of it: how far the blends of the same searches are off. Down is better.</figcaption>
</figure>

<h2>What a blend does</h2>
<p>A stretch of the test speech as a spectrogram: time runs to the right, frequency rises upwards, bright is loud. Blending, here with
${picture.name} at rate ${RATE}, keeps what is said; the fine detail gives way to that of the indexed voice.</p>
<figure>
${spectrograms(facts, picture)}
</figure>

<p><b>Now your voice:</b> <code>npm run page</code> opens a page to drop its index on. It tells what that one misses, and lets you hear it.</p>

<footer>
<p>Written by <code>npm run demo</code> on ${new Date().toISOString().slice(0, 10)}, with ${escape(facts.machine)}. Every number was measured
in that run, over ${facts.rounds} ${facts.rounds === 1 ? "round" : "rounds"}; times vary from run to run, the rest does not.</p>
<p>Speech: English prompts of Asterisk, recorded by Allison Smith, CC-BY-SA-3.0; see bench/speech/NOTICE.</p>
</footer>
</body>
</html>
`;
}

function spectrograms(facts, { raw, blended }) {
  const rows = SHOWN_ROWS * facts.d;
  const [before, after] = [raw.subarray(0, rows), blended.subarray(0, rows)];
  const difference = before.map((value, i) => Math.abs(after[i] - value));
  const range = [quantile(before, 0.01), quantile(before, 0.99)];
  const most = quantile(difference, 0.995);
  const seconds = SHOWN_ROWS / facts.rowsPerSecond;
  const panel = (title, values, scale) =>
    `<h3>${title}</h3>\n${bothWidths((width) => spectrogram(title, values, scale, seconds, width))}`;
  return `${panel("Before", before, range)}
${panel("After", after, range)}
${panel("What changed", difference, [0, most])}
<figcaption>64 bands of frequency, 60 to 7,600 Hz, as wide as the ear hears them. In the third picture bright is what changed most; its scale spans
${percent(most / (range[1] - range[0]))} of that of the others. Speaker and indexed voice are the same person here, so that only detail has to
change.</figcaption>`;
}

function quantile(values, q) {
  return values.slice().sort()[Math.floor(values.length * q)];
}

/** A picture for a page and one for a phone, of which the browser shows the one that fits. */
function bothWidths(draw) {
  return Object.entries(WIDTHS)
    .map(([name, width]) => `<div class="${name}">${draw(width)}</div>`)
    .join("\n");
}

function time(ms) {
  return `${ms.toFixed(2)}\u00a0ms`;
}

function percent(share) {
  return `${(share * 100).toFixed(share < 0.99 ? 0 : 1)}\u00a0%`;
}

function escape(text) {
  return text.replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);
}
