/** The worker: holds the voice, and answers each block of sound. A worklet has no fetch, and nothing in it may wait. */
import { openRemote } from "cellist/remote";
import { blend, readVoice } from "cellist/rvc";
import { Shaper } from "./shaper.js";
import { ROWS } from "./timing.js";

const OPTIONS = { k: 8, rate: 0.75, nprobe: 4 };
/** Milliseconds between two reports to the page. */
const EVERY = 100;

let voice;
const figures = {
  resident: 0,
  size: "",
  there: 0,
  lists: "",
  first: "",
  lacking: 0,
  frames: 0,
  blocks: 0,
  slowest: "",
};

self.onmessage = ({ data: { how, port } }) => {
  void start(how, port).catch((error) => self.postMessage({ error: `The voice can't be opened: ${error.message}` }));
};

async function start(how, port) {
  const began = performance.now();
  const { means } = await (await fetch("sample.json")).json();
  const shaper = new Shaper(means);
  port.onmessage = ({ data: samples }) => {
    const block = shaper.push(samples);
    if (block === undefined) return;
    const at = performance.now();
    const lacking = voice === undefined ? ROWS : voice.blendNow(block.rows, OPTIONS);
    const answer = shaper.shape(block);
    const took = performance.now() - at;
    figures.blocks++;
    figures.frames += ROWS;
    figures.lacking += lacking;
    figures.slowest = Math.max(figures.slowest, took);
    if (lacking === 0 && figures.first === "") figures.first = performance.now() - began;
    port.postMessage({ block: block.number, samples: answer }, [answer.buffer]);
  };
  setInterval(() => {
    if (voice !== undefined) Object.assign(figures, { resident: voice.resident, size: voice.size });
    if (voice?.parts !== undefined) Object.assign(figures, { there: voice.parts.there, lists: voice.parts.total });
    self.postMessage(figures);
  }, EVERY);
  if (how === "whole") {
    voice = await whole("alice.index");
  } else {
    voice = await openRemote(new URL(how === "layers" ? "alice.voice" : "alice.index", self.location.href));
    // The rest in the background: what queries asked for last comes first.
    await voice.load();
  }
}

/** The same voice by readIndex: nothing to blend with before its last byte. */
async function whole(address) {
  const onProgress = ({ done, total }) => Object.assign(figures, { resident: done, size: total });
  const index = await readVoice(await fetch(address), { onProgress });
  const { size } = figures;
  return { blendNow: (rows, options) => (blend(index, rows, options), 0), resident: size, size };
}
