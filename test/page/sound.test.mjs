/**
 * The sound of the page: what browsers decode, the features made of it, and the mosaic that answers it.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { parse } from "npyjs";
import { OPTIONS } from "../../examples/page/build.mjs";
import { BROWSERS, file, launch, measured, open, served, SPEECH } from "./harness.mjs";

const SAMPLE = fileURLToPath(new URL("../../examples/page/sample/", import.meta.url));
const { prompts, means } = JSON.parse(readFileSync(join(SAMPLE, "sample.json"), "utf8"));
const D = 256;
/** Seconds of the mosaic that are listened to. */
const LISTENED = 30;
/** Reports of loudness, twenty a second, from what is heard to its answer. */
const DELAY = 5;

/** The modules under test, for a page to run. */
const { outputFiles } = await build({
  ...OPTIONS,
  globalName: "sound",
  stdin: {
    contents: `export { decode } from "./decode.js"; export { rowsOf } from "./log-mel.js"; export { resampled } from "./resample.js";`,
    resolveDir: fileURLToPath(new URL("../../examples/page/sound/", import.meta.url)),
  },
});
const script = outputFiles[0].text;

/** What a browser makes of a recording: samples, and rows of features, the sound being brought to another rate and back before. */
async function heard(tab, name, through = 16_000) {
  const encoded = readFileSync(join(SAMPLE, name)).toString("base64");
  const [samples, rows] = await tab.evaluate(
    async ([data, rate]) => {
      const text = (array) => {
        const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
        let characters = "";
        for (let i = 0; i < bytes.length; i += 8192) characters += String.fromCharCode(...bytes.subarray(i, i + 8192));
        return btoa(characters);
      };
      const { decode, resampled, rowsOf } = window.sound;
      let sound = await decode(Uint8Array.from(atob(data), (character) => character.charCodeAt(0)));
      sound = await resampled(await resampled(sound, 16_000, rate), rate, 16_000);
      const found = rowsOf(sound);
      const all = new Float32Array(found.length * 256);
      found.forEach((row, i) => all.set(row, i * 256));
      return [text(sound), text(all)];
    },
    [encoded, through],
  );
  const floats = (text) => new Float32Array(Uint8Array.from(Buffer.from(text, "base64")).buffer);
  return { samples: floats(samples), rows: floats(rows) };
}

/** Half of the step between float16 numbers of this size: what storing one may have moved it. */
function halfStep(value) {
  return 2 ** (Math.max(-14, Math.floor(Math.log2(Math.abs(value)))) - 11);
}

/** How far rows are, at most, from the stored ones that they follow in order, beyond what float16 took; and how many were found. */
function compare(stored, rows) {
  let worst = 0;
  let found = 0;
  let at = 0;
  const off = (i, row, column) =>
    Math.abs(rows[row * D + column] - means[column] - stored[i + column]) - halfStep(stored[i + column]);
  for (let i = 0; i < stored.length; i += D) {
    // Pauses are not stored: the next row is within the next seconds.
    for (let row = at; row < Math.min(at + 150, rows.length / D); row++) {
      let most = 0;
      for (let column = 0; column < D && most < 0.05; column++) most = Math.max(most, off(i, row, column));
      if (most >= 0.05) continue;
      worst = Math.max(worst, most);
      found++;
      at = row + 1;
      break;
    }
  }
  return { worst, found };
}

const npy = (path) => parse(readFileSync(join(SPEECH, path)).slice().buffer).data;
const slices = readdirSync(join(SPEECH, "3_feature256")).sort(
  (a, b) => parseInt(a.slice(2), 10) - parseInt(b.slice(2), 10),
);
const stored = Float32Array.from(slices.flatMap((name) => [...npy(`3_feature256/${name}`)]));

describe("features", () => {
  /** What the first browser heard. */
  let first;
  for (const name of BROWSERS) {
    test(`${name} makes of the sample's sound the features of bench/speech`, async () => {
      const browser = await launch(name);
      const tab = await open(browser);
      await tab.addScriptTag({ content: script });
      const voice = await heard(tab, "voice.flac");
      const sentence = await heard(tab, "sentence.flac");
      // The sample's 45 prompts are the first of the 50 there; all of their rows are found, in order.
      const base = compare(stored, voice.rows);
      assert.equal(base.found, 6650);
      assert.ok(base.worst < 1e-4, `off by ${base.worst}`);
      const queries = compare(npy("queries.npy"), sentence.rows);
      assert.equal(queries.found, 480);
      assert.ok(queries.worst < 1e-4, `off by ${queries.worst}`);
      assert.equal(voice.samples.length, 320 * (prompts.at(-1)[1] + Math.ceil((prompts.at(-1)[2] * 320 + 560) / 320)));

      const other = await heard(tab, "sentence.flac", 48_000);
      const cd = await heard(tab, "sentence.flac", 44_100);
      assert.equal(other.samples.length, sentence.samples.length);
      // There and back costs little of what is below 7 kHz: 57 of 64 bands.
      assert.ok(meanDifference(other.rows, sentence.rows) < 0.05, `${meanDifference(other.rows, sentence.rows)}`);
      first ??= { voice, sentence, other, cd };
      assert.deepEqual(voice.samples, first.voice.samples);
      for (const [a, b] of [
        [voice, first.voice],
        [sentence, first.sentence],
        [other, first.other],
        [cd, first.cd],
      ]) {
        const most = a.rows.reduce((worst, value, i) => Math.max(worst, Math.abs(value - b.rows[i])), 0);
        assert.ok(most < 1e-4, `browsers differ by ${most}`);
      }
      await tab.context().close();
    });
  }
});

function meanDifference(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) if (i % 64 < 57) sum += Math.abs(a[i] - b[i]);
  return sum / ((a.length / 64) * 57);
}

describe("mosaic", () => {
  let microphone;
  before(async () => {
    const tab = await open(await launch("chromium"));
    await tab.addScriptTag({ content: script });
    const { samples } = await heard(tab, "sentence.flac");
    microphone = file("sentence.wav", wav(samples));
    await tab.context().close();
  });

  const args = () => [
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    `--use-file-for-fake-audio-capture=${microphone}`,
  ];

  for (const [place, address] of [
    ["from disk, by messages", () => undefined],
    ["served, by shared memory", served],
  ]) {
    test(`Chromium answers its microphone (${place})`, async () => {
      const browser = await launch("chromium", { args: args() });
      const tab = await open(browser, { address: await address() });
      assert.equal(await tab.evaluate(() => window.crossOriginIsolated), place.startsWith("served"));
      await tab.click("#sample");
      await measured(tab);
      await tab.click("#speak");
      await listen(tab, LISTENED);
      await tab.click("#speak");
      assert.equal(await tab.textContent("#meter"), "Not playing.");
      assert.deepEqual(tab.complaints, []);
      await tab.context().close();
    });
  }

  for (const name of BROWSERS) {
    test(`${name} answers the sentence, and its sliders are heard`, async () => {
      const tab = await open(await launch(name, { args: args() }));
      await tab.click("#sample");
      await measured(tab);
      await tab.click("#listen");
      await listen(tab, 8);
      // All of one's own voice and nothing of the other: what is heard comes out as it was.
      await tab.focus("#mosaic-rate");
      await tab.keyboard.press("Home");
      await tab.waitForTimeout(1000);
      await tab.evaluate(() => (window.levels = []));
      const { input, output } = await listen(tab, 6);
      const gain = energy(output.slice(DELAY)) / energy(input.slice(0, -DELAY));
      assert.ok(Math.abs(gain - 1) < 0.05, `${gain} of the energy is played`);
      await tab.click("#listen");
      assert.deepEqual(tab.complaints, []);
      await tab.context().close();
    });
  }
});

/** Listens for so long: there is sound, as loud as what is heard and when, and none comes late. Returns the envelopes. */
async function listen(tab, seconds) {
  await tab.waitForFunction((count) => window.levels.length >= count, seconds * 19);
  const levels = await tab.evaluate(() => window.levels);
  const input = levels.map((level) => level.heard);
  const output = levels.map((level) => level.played);
  assert.ok(Math.max(...output) > 0.02, "nothing is played");
  const likeness = correlation(input.slice(0, -DELAY), output.slice(DELAY));
  assert.ok(likeness > 0.5, `the envelopes correlate by ${likeness}`);
  assert.equal(levels.at(-1).late, levels[0].late);
  assert.match(await tab.textContent("#meter"), /A block of 16 frames takes .* none came late\./);
  return { input, output };
}

function energy(levels) {
  return levels.reduce((sum, level) => sum + level * level, 0);
}

function correlation(a, b) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  let [product, squareA, squareB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    product += (a[i] - meanA) * (b[i] - meanB);
    squareA += (a[i] - meanA) ** 2;
    squareB += (b[i] - meanB) ** 2;
  }
  return product / Math.sqrt(squareA * squareB);
}

/** Samples at 16 kHz as a .wav file. */
function wav(samples) {
  const bytes = Buffer.alloc(44 + samples.length * 2);
  bytes.write("RIFF", 0);
  bytes.writeUInt32LE(36 + samples.length * 2, 4);
  bytes.write("WAVEfmt ", 8);
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20);
  bytes.writeUInt16LE(1, 22);
  bytes.writeUInt32LE(16_000, 24);
  bytes.writeUInt32LE(32_000, 28);
  bytes.writeUInt16LE(2, 32);
  bytes.writeUInt16LE(16, 34);
  bytes.write("data", 36);
  bytes.writeUInt32LE(samples.length * 2, 40);
  samples.forEach((value, i) => bytes.writeInt16LE(Math.round(value * 32768), 44 + i * 2));
  return bytes;
}
