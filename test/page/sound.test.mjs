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
import { SAMPLE } from "../../examples/page/build.mjs";
import { OPTIONS } from "../../examples/page/bundle.mjs";
import { BROWSERS, file, launch, measured, open, served, SPEECH } from "./harness.mjs";

const { prompts, means } = JSON.parse(readFileSync(SAMPLE.notes, "utf8"));
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
    contents: `export { decode } from "./decode.js"; export { rowsOf } from "./log-mel.js"; export { resampled, useSpeex } from "./resample.js";`,
    resolveDir: fileURLToPath(new URL("../../examples/page/sound/", import.meta.url)),
  },
});
const script = outputFiles[0].text;

/**
 * What a browser makes of a recording: samples at 16 kHz, and rows of features, the sound being brought to another rate and back before.
 */
async function heard(tab, path, through = 16_000) {
  const [encoded, speex] = [path, SAMPLE.speex].map((name) => readFileSync(name).toString("base64"));
  const [decoded, samples, rows, rate] = await tab.evaluate(
    async ([data, wasm, other]) => {
      const binary = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      const text = (array) => {
        const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
        let characters = "";
        for (let i = 0; i < bytes.length; i += 8192) characters += String.fromCharCode(...bytes.subarray(i, i + 8192));
        return btoa(characters);
      };
      const { decode, resampled, rowsOf, useSpeex } = window.sound;
      useSpeex(binary(wasm));
      const { samples, rate } = await decode(binary(data));
      let sound = await resampled(samples, rate, 16_000);
      sound = await resampled(await resampled(sound, 16_000, other), other, 16_000);
      const found = rowsOf(sound);
      const all = new Float32Array(found.length * 256);
      found.forEach((row, i) => all.set(row, i * 256));
      return [text(samples), text(sound), text(all), rate];
    },
    [encoded, speex, through],
  );
  const floats = (text) => new Float32Array(Uint8Array.from(Buffer.from(text, "base64")).buffer);
  return { decoded: floats(decoded), samples: floats(samples), rows: floats(rows), rate };
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
      const voice = await heard(tab, SAMPLE.voice);
      const sentence = await heard(tab, SAMPLE.sentence);
      // The sample's 45 prompts are the first of the 50 there; all of their rows are found, in order.
      const base = compare(stored, voice.rows);
      assert.equal(base.found, 6650);
      assert.ok(base.worst < 1e-4, `off by ${base.worst}`);
      const queries = compare(npy("queries.npy"), sentence.rows);
      assert.equal(queries.found, 480);
      assert.ok(queries.worst < 1e-4, `off by ${queries.worst}`);
      assert.equal(voice.samples.length, 320 * (prompts.at(-1)[1] + Math.ceil((prompts.at(-1)[2] * 320 + 560) / 320)));

      const other = await heard(tab, SAMPLE.sentence, 48_000);
      const cd = await heard(tab, SAMPLE.sentence, 44_100);
      assert.equal(other.samples.length, sentence.samples.length);
      // There and back costs little of what is below 7 kHz: 57 of 64 bands.
      assert.ok(meanDifference(other.rows, sentence.rows) < 0.05, `${meanDifference(other.rows, sentence.rows)}`);
      // A recording of 44.1 kHz is decoded at its own rate, to its own samples.
      const encoded = Int16Array.from(sentence.samples, (value) => value * 32768);
      const own = await heard(tab, file("own.wav", wav(encoded, 44_100, 2)));
      assert.equal(own.rate, 44_100);
      assert.deepEqual(own.decoded, sentence.samples);
      first ??= { voice, sentence, other, cd, own };
      assert.deepEqual(voice.samples, first.voice.samples);
      for (const [a, b] of [
        [voice, first.voice],
        [sentence, first.sentence],
        [other, first.other],
        [cd, first.cd],
        [own, first.own],
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
  let recording;
  before(async () => {
    const tab = await open(await launch("chromium"));
    await tab.addScriptTag({ content: script });
    const { samples } = await heard(tab, SAMPLE.sentence);
    recording = Int16Array.from(samples, (value) => value * 32768);
    microphone = file("sentence.wav", wav(recording, 16_000));
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
      // A recording of one's own takes the sentence's place: this one is twice as loud, as far as it can be.
      const loud = recording.map((value) => Math.max(-32768, Math.min(32767, value * 2)));
      await tab.setInputFiles("#hear input[type=file]", file("loud.wav", wav(loud, 16_000)));
      await tab.waitForSelector("#own[aria-pressed=true]");
      assert.equal(await tab.getAttribute("#listen", "aria-pressed"), "false");
      await tab.evaluate(() => (window.levels = []));
      const louder = await listen(tab, 8);
      const more = energy(louder.output) / louder.output.length / (energy(output) / output.length);
      assert.ok(more > 2 && more < 6, `${more} times the energy`);
      await tab.setInputFiles("#hear input[type=file]", file("no.wav", Buffer.from("no sound")));
      await tab.waitForSelector("#hear [role=alert]:not(:empty)");
      await tab.click("#own");
      assert.equal(await tab.textContent("#meter"), "Not playing.");
      assert.deepEqual(tab.complaints, []);
      await tab.context().close();
    });
  }
});

/**
 * Listens for so long: there is sound, as loud as what is heard and when, and none comes late. Returns the envelopes. A machine that
 * others use as well stops for a moment now and then: where some came late it is listened to again, twice at most.
 */
async function listen(tab, seconds, tries = 3) {
  await tab.waitForFunction((count) => window.levels.length >= count, seconds * 19);
  if (tries > 1 && (await tab.evaluate(() => window.levels.at(-1).late > window.levels[0].late))) {
    await tab.evaluate(() => (window.levels = []));
    return listen(tab, seconds, tries - 1);
  }
  const levels = await tab.evaluate(() => window.levels);
  const input = levels.map((level) => level.heard);
  const output = levels.map((level) => level.played);
  assert.ok(Math.max(...output) > 0.02, "nothing is played");
  const likeness = correlation(input.slice(0, -DELAY), output.slice(DELAY));
  assert.ok(likeness > 0.5, `the envelopes correlate by ${likeness}`);
  assert.equal(levels.at(-1).late, levels[0].late);
  assert.match(await tab.textContent("#meter"), /A block of 16 frames takes .* (none|\d+ hops) came late\./);
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

/** Samples of 16 bits as a .wav file, the same in each channel. */
function wav(samples, rate, channels = 1) {
  const size = samples.length * channels * 2;
  const bytes = Buffer.alloc(44 + size);
  bytes.write("RIFF", 0);
  bytes.writeUInt32LE(36 + size, 4);
  bytes.write("WAVEfmt ", 8);
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20);
  bytes.writeUInt16LE(channels, 22);
  bytes.writeUInt32LE(rate, 24);
  bytes.writeUInt32LE(rate * channels * 2, 28);
  bytes.writeUInt16LE(channels * 2, 32);
  bytes.writeUInt16LE(16, 34);
  bytes.write("data", 36);
  bytes.writeUInt32LE(size, 40);
  for (let i = 0; i < samples.length * channels; i++) bytes.writeInt16LE(samples[Math.floor(i / channels)], 44 + i * 2);
  return bytes;
}
