// The page: shows how the voice comes, starts the sound, and hands the worklet's ring buffers to the worker.

import { Ring } from "cellist/ring";
// A worklet takes one file: with "?worker&url" Vite makes it of all that the module imports.
import workletUrl from "./worklet.js?worker&url";

/** What the model wants; the browser resamples to it whatever it plays. */
const SAMPLE_RATE = 16_000;

const show = (id, text) => (document.getElementById(id).textContent = text);
const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });

worker.onmessage = ({ data: { progress, ready, block, error } }) => {
  if (progress !== undefined) document.getElementById("bar").value = progress;
  if (ready !== undefined) {
    show("voice", ready);
    for (const [id, play] of Object.entries({ tone, microphone })) {
      document.getElementById(id).disabled = false;
      document.getElementById(id).onclick = () => start(play).catch((reason) => show("error", reason));
    }
  }
  if (block !== undefined) show("blocks", `${block.number} blocks, the last in ${block.milliseconds.toFixed(1)} ms`);
  if (error !== undefined) show("error", error);
};
worker.postMessage({ model: new URL("model.onnx", location).href, voice: new URL("alice.index", location).href });

/** Sound goes: source -> worklet -> ring -> worker -> ring -> worklet -> loudspeaker. */
async function start(play) {
  const context = new AudioContext({ sampleRate: SAMPLE_RATE });
  await context.audioWorklet.addModule(workletUrl);
  const [heard, spoken] = [Ring.memory(SAMPLE_RATE), Ring.memory(SAMPLE_RATE)]; // a second each
  const node = new AudioWorkletNode(context, "bridge", { processorOptions: { heard, spoken } });
  worker.postMessage({ heard, spoken });
  (await play(context)).connect(node).connect(context.destination);
}

async function tone(context) {
  const oscillator = new OscillatorNode(context, { type: "sawtooth", frequency: 180 });
  const quiet = new GainNode(context, { gain: 0.1 });
  oscillator.start();
  return oscillator.connect(quiet);
}

/** In Firefox a microphone goes into contexts of its own rate only: there, resample in the worklet. */
async function microphone(context) {
  return context.createMediaStreamSource(await navigator.mediaDevices.getUserMedia({ audio: true }));
}
