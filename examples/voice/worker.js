// Beside the page: fetches the voice, keeps it, makes features of sound by the model, and blends them with the voice's.

import { openRemote } from "cellist/remote";
import { blend } from "cellist/rvc";
import { Ring } from "cellist/ring";
import * as ort from "onnxruntime-web/wasm";

/** Samples of a frame, and frames of a block: 320 ms. */
const [HOP, FRAMES] = [320, 16];
/** Samples that the model looks at for the last frame, beyond its hop. */
const BEYOND = 80;
const D = 256;

let session, voice;

self.onmessage = ({ data }) => {
  const job = "voice" in data ? open(data) : speak(data);
  job.catch((error) => self.postMessage({ error: String(error) }));
};

async function open({ model, voice: address }) {
  // Kept in the browser's cache of that name: the next visit fetches nothing, and needs no connection.
  const remote = await openRemote(address, { cache: "voices" });
  const cached = remote.resident === remote.size ? ", from the cache" : "";
  await remote.load({ onProgress: ({ done, total }) => self.postMessage({ progress: done / total }) });
  voice = await remote.toIndex();
  voice.warmUp({ batch: FRAMES, k: 8, nprobe: 4 });
  ort.env.wasm.numThreads = 1;
  session = await ort.InferenceSession.create(model);
  self.postMessage({ progress: 1, ready: `${voice.ntotal} frames${cached}` });
}

async function speak({ heard, spoken }) {
  const [input, output] = [new Ring(heard), new Ring(spoken)];
  const block = new Float32Array(FRAMES * HOP);
  const sound = new Float32Array(BEYOND + block.length);
  for (let number = 1; ; number++) {
    while (!input.wait(block.length, 1000));
    input.read(block);
    const start = performance.now();
    sound.copyWithin(0, block.length);
    sound.set(block, BEYOND);
    const { features } = await session.run({ sound: new ort.Tensor("float32", sound, [1, 1, sound.length]) });
    blend(voice, features, { k: 8, rate: 0.75, nprobe: 4, d: D, rows: FRAMES });
    // Here a synthesizer makes sound of the features. This example has none: it says what it heard.
    output.write(block);
    self.postMessage({ block: { number, milliseconds: performance.now() - start } });
  }
}
