import { cellSection } from "./cell-section.js";
import { compareSection } from "./compare.js";
import { fill, h } from "./dom.js";
import { hearSection } from "./hear.js";
import { drawn, unspoken } from "./resize.js";
import { slider } from "./slider.js";
import { takeSection } from "./take.js";
import { BUDGET, sizeName, tradeOff, tradeOffTable } from "./trade-off.js";
import { count, fraction, megabytes, milliseconds, minutes, percent } from "./words.js";

/** A blend that is off by no more than this share of its way is near enough for a preset. */
const NEAR = 0.05;
/** Share of a block's time that a preset may take for retrieval. */
const SHARE = 0.1;

/**
 * Shows a voice, section by section, as its numbers come.
 *
 * @param {HTMLElement} root
 * @param {{ voice: import("../voice.js").Voice, card: any, sentence?: { samples: Float32Array, rate: number }, worklet?: string, say(words: string): void, worker: string,
 *   isCurrent(): boolean }} shown
 */
export async function showVoice(root, shown) {
  const { voice, card, isCurrent, say } = shown;
  const state = { card, points: [], sizes: ["full"], today: undefined, choice: undefined, changed: [] };
  const number = h("section", { "aria-labelledby": "missed" });
  const rest = h("div");
  fill(root, cardSection(card), number, rest);

  state.points = await voice.call("measure", {}, () => undefined);
  if (!isCurrent()) return;
  state.today = state.points.find(({ nprobe }) => nprobe === card.nprobe) ?? state.points[0];
  state.choice = best(state.points);
  showNumber(number, state.today, card);
  say(number.querySelector(".claim").textContent);
  const picture = h("div");
  const smaller = h("div");
  fill(
    rest,
    betterSection(state, smaller),
    picture,
    hearSection(shown, state),
    takeSection(shown, state),
    compareSection(shown, state),
  );

  const cells = await voice.call("cells");
  if (!isCurrent()) return;
  if (cells !== undefined) fill(picture, cellSection(cells));
  root.dispatchEvent(new CustomEvent("measured", { bubbles: true }));
  const { sizes, large } = await voice.call("sizes");
  if (large) await asked(smaller);
  const handed = await voice.call("handOver");
  const helper = voice.helper();
  let failed;
  for (const size of sizes) {
    const label = `Making it smaller, 1/${size.ratio} of the size. All else can be used meanwhile.`;
    const bar = h("progress", { max: 1, "aria-label": label });
    fill(smaller, h("p", { class: "quiet" }, label), bar);
    const onProgress = ({ done, total }) => (bar.value = total < Infinity ? done / total : 0);
    const made = await helper.call("shrink", { ...handed, size }, onProgress).catch((error) => error);
    if (!isCurrent()) return;
    // Of a few frames nothing small can be made: what there is besides stays.
    if (made instanceof Error) {
      failed = h("p", { class: "quiet" }, `1/${size.ratio} of the size can’t be had of this voice. ${made.message}`);
      break;
    }
    const { bytes, points } = made;
    await voice.call("keep", { size, bytes });
    state.points.push(...points);
    state.sizes.push(size.id);
    announce(state);
  }
  helper.end();
  fill(smaller, failed);
  root.dispatchEvent(new CustomEvent("shrunk", { bubbles: true }));
}

/** A large voice is made smaller when it is asked for: that takes minutes, and memory for a second copy. */
function asked(place) {
  return new Promise((resolve) => {
    const go = h("button", { type: "button", id: "smaller", onClick: resolve }, "Make it smaller, too");
    fill(place, h("p", {}, go, " ", h("span", { class: "quiet" }, "to 1/2, 1/4, 1/8 and 1/16; it takes minutes")));
  });
}

/** The smallest nprobe that is near enough, or as good as the nearest one, and leaves a block's time to others. */
function best(points) {
  const quick = points.filter(({ ms }) => ms <= BUDGET * SHARE);
  const least = Math.min(...quick.map(({ error }) => error));
  return quick.find(({ error }) => error <= Math.max(NEAR, least * 1.05)) ?? points[0];
}

/** Tells all who show the choice that it, or what there is to choose from, has changed. */
export function announce(state) {
  for (const changed of state.changed) changed();
}

export function facts(card) {
  return {
    speech: minutes(card.seconds),
    frames: count(card.frames),
    cells: card.nlist === undefined ? "none" : count(card.nlist),
    dimensions: String(card.d),
    file: megabytes(card.bytes),
    nprobe: card.nlist === undefined ? "none" : String(card.nprobe),
  };
}

function cardSection(card) {
  const terms = Object.entries(facts(card)).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)));
  return h(
    "section",
    { id: "card", "aria-label": "The voice" },
    h("p", { class: "file" }, card.name),
    h("dl", {}, ...terms),
  );
}

function showNumber(section, { recall, error }, card) {
  const missed = 1 - recall;
  const value = missed > 0 && missed < 0.095 ? (missed * 100).toFixed(1) : String(Math.round(missed * 100));
  const asked = card.sound
    ? "Asked with a sentence that the voice does not hold."
    : "Asked with 256 of its own frames, each held out with the nine that sound most like it.";
  fill(
    section,
    h("p", { class: missed < 0.05 ? "number good" : "number", "aria-hidden": "true" }, value, h("span", {}, "%")),
    h(
      "h2",
      { id: "missed", class: "claim" },
      `${fraction(missed)} of your frames’ nearest neighbours ${missed >= 0.35 || missed < 0.02 ? "are" : "is"} missed.`,
    ),
    h(
      "p",
      {},
      `As the file is, a search finds ${percent(recall)} of the 8 frames that are truly nearest (recall@8 ${recall.toFixed(3)}). The blend that `,
      `RVC makes of them ends ${percent(error)} of its way from where it should (blend error ${error.toFixed(3)}).`,
    ),
    h("p", { class: "quiet" }, `${asked} The truth is a search of all frames.`),
  );
}

function betterSection(state, smaller) {
  const figure = h("figure", {
    role: "img",
    "aria-label": "Blend error against the time of a block, a dot for each setting",
  });
  const behind = h("div");
  const outcome = h("div", { class: "outcome", "aria-live": "polite" });
  const settings = () => state.points.filter(({ size }) => size === state.choice.size);
  const choose = (size, nprobe) => {
    const points = state.points.filter((point) => point.size === size);
    state.choice = points.find((point) => point.nprobe === nprobe) ?? points.at(-1);
    announce(state);
  };
  const nprobe = slider("nprobe", {
    label: "nprobe: cells that a search looks into",
    input: (at) => choose(state.choice.size, settings()[at].nprobe),
  });
  const size = slider("size", {
    label: "Size of the file",
    input: (at) => choose(state.sizes[at], state.choice.nprobe),
  });
  let width;
  const draw = () => {
    const { points, today, choice, other } = state;
    if (width === undefined) return;
    fill(figure, unspoken(tradeOff({ points, today, choice, other }, width)));
    fill(behind, tradeOffTable(points));
  };
  const update = () => {
    const { choice, today, sizes } = state;
    const all = settings();
    nprobe.set(all.indexOf(choice), all.length - 1, String(choice.nprobe));
    size.set(
      sizes.indexOf(choice.size),
      sizes.length - 1,
      `${sizeName(choice.size).replace(" of the size", "")}, ${megabytes(choice.bytes)}`,
    );
    fill(outcome, ...outcomeOf(choice, today));
    draw();
  };
  state.changed.push(update);
  drawn(figure, (measured) => {
    width = measured;
    draw();
  });
  update();
  return h(
    "section",
    { id: "better", "aria-labelledby": "better-title" },
    h("h2", { id: "better-title" }, "Better, and what it costs"),
    h(
      "p",
      {},
      "RVC stores nprobe = 1 in its files: a search looks into one cell and misses what lies across the border. More cells find more, and take ",
      "longer. Lower is truer, left is faster.",
    ),
    h("div", { class: "two" }, nprobe.element, size.element),
    smaller,
    outcome,
    figure,
    behind,
  );
}

function outcomeOf(choice, today) {
  const same = choice === today;
  const times = today.error / choice.error;
  const gain = same
    ? "This is the file as it is."
    : choice.error === 0
      ? "Nothing is missed any more."
      : times >= 1
        ? `${times < 10 ? times.toFixed(1) : count(Math.round(times))} times as near to the exact blend as today.`
        : `${(1 / times).toFixed(1)} times as far from the exact blend as today.`;
  const words =
    choice.ms <= BUDGET
      ? `A block of 16 frames takes ${milliseconds(choice.ms)} of its 250 ms here: ${percent(choice.ms / BUDGET)}.`
      : `A block of 16 frames takes ${milliseconds(choice.ms)} here, and the next one comes after 250 ms.`;
  return [
    h("p", {}, h("strong", {}, gain)),
    h(
      "p",
      {},
      `Blend error ${percent(choice.error)}, ${percent(1 - choice.recall)} of the neighbours missed. ${words}`,
    ),
  ];
}
