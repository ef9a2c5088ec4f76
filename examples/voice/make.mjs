// Makes what a voice page is given: public/model.onnx, which stands in for ContentVec, and public/alice.index, a voice by its features.

import { mkdirSync, writeFileSync } from "node:fs";
import * as ort from "onnxruntime-web/wasm";
import { buildVoiceIndex } from "cellist/rvc";
import { makeModel } from "./make-model.mjs";

const SAMPLE_RATE = 16_000;
const D = 256;

const out = new URL("public/", import.meta.url);
mkdirSync(out, { recursive: true });
const model = makeModel(D);
writeFileSync(new URL("model.onnx", out), model);

/** So many seconds of a voice: harmonics of a pitch that goes up and down, louder and softer. */
function sing(seconds, pitch) {
  let phase = 0;
  return new Float32Array(seconds * SAMPLE_RATE).map((_, i) => {
    const t = i / SAMPLE_RATE;
    phase += (2 * Math.PI * pitch * (1 + 0.3 * Math.sin(1.7 * t))) / SAMPLE_RATE;
    const voiced = [1, 2, 3, 4, 5, 6].reduce((sum, n) => sum + Math.sin(n * phase) / n, 0);
    return 0.1 * voiced * (1 + 0.5 * Math.sin(2.3 * t));
  });
}

ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(model);
const slices = [];
for (const pitch of [140, 180, 220, 260]) {
  const sound = sing(10, pitch);
  const { features } = await session.run({ sound: new ort.Tensor("float32", sound, [1, 1, sound.length]) });
  slices.push({ name: `${pitch}.npy`, data: features });
}
const { index, fileName } = await buildVoiceIndex(slices, { name: "alice", version: "v1", seed: 1 });
writeFileSync(new URL("alice.index", out), index.toBytes());
console.log(`public/model.onnx, and ${fileName} as public/alice.index: ${index.ntotal} frames`);
