/**
 * The page: a voice is dropped, a worker opens it, and one section after the other appears as its answer comes.
 */
import { Voice } from "./voice.js";
import { decode } from "./sound/decode.js";
import { showVoice } from "./view/voice.js";
import { fill } from "./view/dom.js";
import { filesOf } from "./files.js";

const PHASES = {
  read: "Opening the file",
  unzip: "Unpacking",
  listen: "Listening to the sample",
  "read slices": "Reading the slices",
  "k-means": "Finding the cells",
  "mini-batch k-means": "Condensing the frames",
  assign: "Putting frames into cells",
};

const $ = (id) => document.getElementById(id);
/** A script of its own, which the page holds as text. */
const worker = $("worker").textContent;
/** The voice that is shown or on its way; what an older one still says is not listened to. */
let current;

/** Opens something in place of what is there. */
async function open(begin) {
  current?.end();
  const voice = (current = new Voice(worker));
  $("problem").textContent = "";
  $("voice").hidden = true;
  fill($("voice"));
  working(true);
  try {
    const { card, ...sound } = await begin(voice, (progress) => voice === current && showProgress(progress));
    if (voice !== current) return;
    working(false);
    $("voice").hidden = false;
    say(`${card.name} is open.`);
    await showVoice($("voice"), { voice, card, ...sound, say, worker, isCurrent: () => voice === current });
  } catch (error) {
    if (voice === current) stop(error.message);
  }
}

function stop(problem = "") {
  current?.end();
  current = undefined;
  working(false);
  $("voice").hidden = true;
  fill($("voice"));
  $("problem").textContent = problem;
}

function openFiles(files) {
  return open(async (voice, onProgress) => ({ card: await voice.call("open", { files }, onProgress) }));
}

function openSample() {
  return open(async (voice, onProgress) => {
    onProgress({ phase: "listen", done: 0, total: Infinity });
    await documentLoaded();
    const [sound, sentence] = await Promise.all(["sample-voice", "sample-sentence"].map((id) => decode(bytesOf(id))));
    const notes = JSON.parse(new TextDecoder().decode(bytesOf("sample-notes")));
    const given = {
      script: $("sample-sound").textContent,
      speex: bytesOf("sample-speex"),
      samples: sound.samples,
      spoken: sentence.samples,
      notes,
    };
    const card = await voice.call("openSound", given, onProgress);
    return { card, sentence, worklet: $("sample-worklet").textContent };
  });
}

/** The sample is the last thing in the page: it may still be on its way. */
function documentLoaded() {
  if (document.readyState !== "loading") return Promise.resolve();
  return new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve, { once: true }));
}

function bytesOf(id) {
  return Uint8Array.from(atob($(id).textContent), (character) => character.charCodeAt(0));
}

function working(on) {
  $("work").hidden = !on;
  $("phase").textContent = "Opening";
  $("eta").textContent = "";
  $("bar").removeAttribute("value");
  began = { phase: undefined, at: 0 };
}

/** When the phase at hand began. */
let began = { phase: undefined, at: 0 };

function showProgress({ phase, done, total }) {
  if (phase !== began.phase) began = { phase, at: performance.now() };
  $("phase").textContent = PHASES[phase] ?? "Working";
  const share = done / total;
  if (!(share > 0)) {
    $("bar").removeAttribute("value");
    $("eta").textContent = "";
    return;
  }
  $("bar").value = share;
  const left = ((performance.now() - began.at) * (1 - share)) / share / 1000;
  $("eta").textContent = left >= 1 ? `about ${Math.ceil(left)} s` : "";
}

function say(words) {
  $("status").textContent = words;
}

$("choose").addEventListener("click", () => $("file").click());
$("folder").addEventListener("click", () => $("directory").click());
$("sample").addEventListener("click", openSample);
$("cancel").addEventListener("click", () => stop());
for (const id of ["file", "directory"]) {
  $(id).addEventListener("change", ({ target }) => {
    const files = [...target.files];
    target.value = "";
    void openFiles(files);
  });
}
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) document.body.classList.remove("over");
});
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  const files = await filesOf(event.dataTransfer);
  if (files.length > 0 || event.dataTransfer.types.includes("Files")) void openFiles(files);
});
// All that can be pressed answers from here on; the sample is still on its way.
performance.mark("ready");
