// The scopes that a page can open, with the package's files as they are: import maps do not reach into them.

import { indexFactory } from "cellist";
import { INDEXES, readVectors } from "./searches.mjs";

const load = async () => new Uint8Array(await (await fetch("/vectors.npy")).arrayBuffer());

window.runs = { ...window.runs, worker: runInWorker, worklet: runInWorklet, classic: runByClassicScript };

async function runInWorker() {
  const worker = new Worker("/worker.mjs", { type: "module" });
  return answer(worker, worker, await load());
}

/** All searches in the worklet's scope; then, on an index that came as bytes, a frame of the queries in each quantum. */
async function runInWorklet() {
  const file = await load();
  const { base, queries } = readVectors(file);
  const [description, metric, options] = INDEXES.ivf;
  const index = await indexFactory(64, description, metric);
  await index.train(base, { seed: 7 });
  await index.add(base);

  const context = new OfflineAudioContext(1, 128 * 200, 48000);
  await context.audioWorklet.addModule("/worklet.mjs");
  const node = new AudioWorkletNode(context, "cellist", {
    processorOptions: { bytes: index.toBytes(), queries, options },
  });
  node.connect(context.destination);
  const sums = await answer(node.port, node, file);
  const frames = new Promise((resolve, reject) => {
    node.onprocessorerror = () => reject(new Error("process() threw"));
    node.port.onmessage = ({ data }) => resolve(data);
  });
  await context.startRendering();
  return { ...sums, "ivf frames": await frames };
}

/** All searches in the worklet's scope, by the classic script, which another module of it made a global. */
async function runByClassicScript() {
  const context = new OfflineAudioContext(1, 128, 48000);
  await context.audioWorklet.addModule("/node_modules/cellist/dist/cellist.iife.js");
  await context.audioWorklet.addModule("/classic-worklet.mjs");
  const node = new AudioWorkletNode(context, "classic");
  node.connect(context.destination);
  return answer(node.port, node, await load());
}

/** Sends the vectors and waits for what comes back. */
function answer(port, source, file) {
  return new Promise((resolve, reject) => {
    source.onerror = (event) => reject(new Error(event.message ?? "it could not be loaded"));
    port.onmessage = ({ data }) => (data.error === undefined ? resolve(data) : reject(new Error(data.error)));
    port.postMessage(file);
  });
}
