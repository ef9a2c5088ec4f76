import { decode } from "../sound/decode.js";
import { play } from "../sound/player.js";
import { fill, h } from "./dom.js";
import { slider } from "./slider.js";
import { quantile, spectrogram } from "./spectrogram.js";
import { milliseconds } from "./words.js";

/** Seconds of a recording that are listened to. */
const LONGEST = 60;

/** Hear the voice where its sound is there, else see what a blend does to frames. */
export function hearSection(shown, state) {
  return shown.card.sound ? mosaicSection(shown, state) : pictureSection(shown, state);
}

function mosaicSection({ voice, sentence, worklet, say }, state) {
  const nprobes = state.points.filter(({ size }) => size === "full").map(({ nprobe }) => nprobe);
  let player;
  let changing = false;
  const options = () => ({ k: k.value + 1, nprobe: nprobes[nprobe.value], rhythm: rhythm.value / 100 });
  const steer = () => player?.steer(options(), rate.value / 100);
  const k = slider("mosaic-k", {
    label: "k: frames to choose from",
    max: 15,
    value: 7,
    text: (v) => String(v + 1),
    input: steer,
  });
  const nprobe = slider("mosaic-nprobe", {
    label: "nprobe",
    max: nprobes.length - 1,
    value: nprobes.indexOf(state.choice.nprobe),
    text: (at) => String(nprobes[at]),
    input: steer,
  });
  const rate = slider("mosaic-rate", {
    label: "Rate: the other voice’s share",
    max: 100,
    value: 100,
    text: (v) => `${v} %`,
    input: steer,
  });
  const rhythm = slider("mosaic-rhythm", {
    label: "Rhythm: how much it keeps its own flow",
    max: 100,
    value: 40,
    text: (v) => `${v} %`,
    input: steer,
  });
  const heard = h("i", { class: "in" });
  const played = h("i");
  const meter = h("p", { id: "meter", class: "quiet" }, "Not playing.");
  const problem = h("p", { role: "alert" });
  const timing = { ms: undefined, worst: 0, late: 0 };
  const level = (element, value) =>
    (element.style.transform = `scaleX(${Math.min(1, Math.sqrt(value) * 1.8).toFixed(3)})`);

  const start = async (what, button) => {
    if (changing) return;
    changing = true;
    const again = player !== undefined && button.getAttribute("aria-pressed") === "true";
    await stop();
    if (!again) {
      problem.textContent = "";
      meter.textContent = "Starting …";
      try {
        player = await play({ voice, worklet, recording: what, options: options(), rate: rate.value / 100, onLevels });
        button.setAttribute("aria-pressed", "true");
        say("Playing.");
      } catch (error) {
        meter.textContent = "Not playing.";
        problem.textContent = sorry(error);
      }
    }
    changing = false;
  };
  const stop = async () => {
    for (const button of [speak, listen, own]) button.setAttribute("aria-pressed", "false");
    const old = player;
    player = undefined;
    await old?.stop();
    for (const bar of [heard, played]) level(bar, 0);
    meter.textContent = "Not playing.";
  };
  const onLevels = (levels) => {
    if (!section.isConnected) return void stop();
    level(heard, levels.heard);
    level(played, levels.played);
    timing.late = levels.late;
    section.dispatchEvent(new CustomEvent("levels", { detail: levels, bubbles: true }));
  };
  voice.onMeter = ({ ms, worst }) => {
    if (player === undefined) return;
    const late = timing.late === 0 ? "none came late" : `${timing.late} hops came late`;
    meter.textContent = `A block of 16 frames takes ${milliseconds(ms)}; the worst of the last minute took ${milliseconds(worst)}; ${late}.`;
  };
  const speak = h(
    "button",
    { type: "button", class: "first", id: "speak", "aria-pressed": "false", onClick: () => start(undefined, speak) },
    "Speak",
  );
  const listen = h(
    "button",
    { type: "button", id: "listen", "aria-pressed": "false", onClick: () => start(sentence, listen) },
    "Play a sentence",
  );
  const input = h("input", { type: "file", accept: "audio/*", hidden: true, "aria-label": "A recording" });
  const own = h(
    "button",
    {
      type: "button",
      id: "own",
      "aria-pressed": "false",
      onClick: () => (own.getAttribute("aria-pressed") === "true" ? stop() : input.click()),
    },
    "Play a recording of yours",
  );
  input.addEventListener("change", async () => {
    const [file] = input.files;
    let recording;
    try {
      recording = await decode(new Uint8Array(await file.arrayBuffer()), LONGEST);
    } catch {
      problem.textContent = `“${file.name}” is no sound that this browser knows. Choose a .wav, .flac, .mp3 or .m4a.`;
      return;
    } finally {
      input.value = "";
    }
    await start(recording, own);
  });
  const section = h(
    "section",
    { id: "hear", "aria-labelledby": "hear-title" },
    h("h2", { id: "hear-title" }, "Hear it"),
    h(
      "p",
      {},
      "You speak, and the other voice answers in its own grains. No neural network: fifty times a second your sound is looked up among its ",
      "frames, and what is found is played as it was recorded, a quarter of a second later. Wear headphones.",
    ),
    h("p", { class: "buttons" }, speak, listen, own, input),
    problem,
    h("div", { class: "meter", "aria-hidden": "true" }, "you", h("div", {}, heard), "the voice", h("div", {}, played)),
    meter,
    h("div", { class: "two" }, k.element, nprobe.element, rate.element, rhythm.element),
  );
  return section;
}

function sorry(error) {
  if (error.name === "NotAllowedError")
    return "The microphone was not allowed. Allow it for this page, or play the sentence or a recording of yours.";
  if (error.name === "NotFoundError")
    return "There is no microphone. Play the sentence instead, or a recording of yours.";
  return `No sound can be played here: ${error.message}`;
}

function pictureSection({ voice, isCurrent, card }, state) {
  const panels = h("div");
  const draw = async () => {
    const { size, nprobe } = state.choice;
    const { d, before, stored, chosen, exact } = await voice.call("picture", { size, nprobe });
    if (!isCurrent() || state.choice.size !== size || state.choice.nprobe !== nprobe) return;
    const range = [quantile(before, 0.01), quantile(before, 0.99)];
    const off = (values) => values.map((value, i) => Math.abs(value - exact[i]));
    const most = quantile(off(stored), 0.995) || 1;
    fill(
      panels,
      spectrogram("Before", before, d, range),
      spectrogram(`After, as the file is: nprobe ${state.today.nprobe}`, stored, d, range),
      spectrogram("After an exact search", exact, d, range),
      spectrogram("What the file gets wrong", off(stored), d, [0, most]),
      spectrogram(`What your choice gets wrong: nprobe ${nprobe}`, off(chosen), d, [0, most]),
    );
  };
  state.changed.push(() => void draw());
  void draw();
  return h(
    "section",
    { id: "hear", "aria-labelledby": "hear-title" },
    h("h2", { id: "hear-title" }, "See it"),
    h(
      "p",
      {},
      `This file has no sound in it, only what a network heard. So see what a blend does: two seconds of frames, the ${card.d} numbers of each `,
      "from bottom to top. Dark is nothing; what is wrong should be dark.",
    ),
    panels,
  );
}
