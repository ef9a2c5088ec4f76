/** The page: plays the sentence through the worklet, and shows what the worker says of the voice. */
import { RATE } from "./timing.js";

const NAMES = { layers: "alice.voice, in layers", lists: "alice.index, list by list", whole: "alice.index, whole" };
const status = document.querySelector("[role=status]");
const body = document.querySelector("tbody");
let stop = () => undefined;

for (const button of document.querySelectorAll("button"))
  button.addEventListener("click", () => {
    stop();
    stop = () => undefined;
    if (button.dataset.how !== "") play(button.dataset.how).catch((error) => (status.textContent = String(error)));
  });

async function play(how) {
  const context = new AudioContext({ sampleRate: RATE });
  const worker = new Worker("worker.js", { type: "module" });
  stop = () => {
    worker.terminate();
    void context.close();
  };
  const sentence = await (await fetch("sentence.flac")).arrayBuffer();
  const buffer = await context.decodeAudioData(sentence);
  await context.audioWorklet.addModule("worklet.js");
  const node = new AudioWorkletNode(context, "blended", { outputChannelCount: [1], channelCount: 1 });
  const { port1, port2 } = new MessageChannel();
  node.port.postMessage(port1, [port1]);
  const row = rowOf(how);
  node.port.onmessage = ({ data }) => show(row, data);
  worker.onmessage = ({ data }) => (data.error === undefined ? show(row, data) : (status.textContent = data.error));
  worker.postMessage({ how, port: port2 }, [port2]);
  const source = new AudioBufferSourceNode(context, { buffer, loop: true });
  source.connect(node).connect(context.destination);
  await context.resume();
  source.start();
}

/** The row of a way to play, its last figures forgotten. */
function rowOf(how) {
  body.querySelector(`[data-how=${how}]`)?.remove();
  const row = document.createElement("tr");
  row.dataset.how = how;
  row.innerHTML = `<th scope="row">${NAMES[how]}</th>${"<td></td>".repeat(8)}`;
  body.append(row);
  return row;
}

function show(row, figures) {
  for (const [name, value] of Object.entries(figures)) row.dataset[name] = value;
  const { resident, size, there, lists, first, lacking, frames, blocks, late, slowest } = row.dataset;
  const texts = [
    resident && (resident / 1e6).toFixed(2),
    size && (size / 1e6).toFixed(2),
    lists && `${there} of ${lists}`,
    first && `${(first / 1000).toFixed(2)} s`,
    frames && `${lacking} of ${frames}`,
    blocks,
    late,
    slowest && `${Number(slowest).toFixed(1)} ms`,
  ];
  texts.forEach((text, i) => (row.cells[i + 1].textContent = text ?? ""));
}
