import { fill, h } from "./dom.js";
import { reportOf } from "./report.js";
import { sizeName } from "./trade-off.js";
import { megabytes } from "./words.js";

/** Take the voice home, as it was chosen, with the words to use it. */
export function takeSection({ voice, card, say }, state) {
  const what = h("p");
  const code = h("code");
  const line = h("code");
  const save = h("button", { type: "button", class: "first", id: "save" }, "Save the file");
  const report = h("button", { type: "button", id: "report" }, "Save a report");
  save.addEventListener("click", async () => {
    save.disabled = true;
    const { size, nprobe } = state.choice;
    try {
      const bytes = await voice.call("take", { size, nprobe });
      download(new Blob([bytes], { type: "application/octet-stream" }), nameOf(card, state.choice));
      say("The file is saved.");
    } finally {
      save.disabled = false;
    }
  });
  report.addEventListener("click", () => {
    const page = reportOf(state, document.getElementById("better").querySelector("svg"));
    download(new Blob([page], { type: "text/html" }), `${card.name.replace(/\.\w+$/, "")} report.html`);
  });
  const update = () => {
    const { choice, today } = state;
    const name = nameOf(card, choice);
    const changed =
      choice === today && !card.built
        ? "The file as it was dropped."
        : choice.size === "full"
          ? `The same frames, with nprobe = ${choice.nprobe} in the file in place of ${today.nprobe}: one number changes, all programs that read the file will use it.`
          : `The same voice at ${sizeName(choice.size)}: ${megabytes(choice.bytes)} in place of ${megabytes(today.bytes)}. A voice file of cellist’s own, for pages and programs that use it; for RVC itself take the full size.`;
    fill(what, h("span", { class: "file" }, name), h("br"), changed);
    code.textContent = forVite(name, card, choice);
    line.textContent = forShell(card, choice);
  };
  state.changed.push(update);
  update();
  return h(
    "section",
    { id: "take", "aria-labelledby": "take-title" },
    h("h2", { id: "take-title" }, "Take it home"),
    what,
    h("p", { class: "buttons" }, save, report),
    h("h3", {}, "In a page of yours, with Vite"),
    h("pre", { tabindex: "0", "aria-label": "Code for Vite" }, code),
    h("h3", {}, "On the command line"),
    h("pre", { tabindex: "0", "aria-label": "Words for the command line" }, line),
  );
}

/** RVC's way to name a file tells its nprobe. */
export function nameOf({ name }, { size, nprobe }) {
  const base = name.replace(/\.(index|voice)$/, "");
  const told = /_nprobe_\d+/.test(base) ? base.replace(/_nprobe_\d+/, `_nprobe_${nprobe}`) : `${base}_nprobe_${nprobe}`;
  if (size === "full") return `${told}${name.endsWith(".voice") ? ".voice" : ".index"}`;
  return `${told}_${size}.voice`;
}

function forVite(name, { d }, { nprobe }) {
  const [read, imports] = name.endsWith(".index")
    ? ["readIndex", 'import { readIndex } from "cellist";\nimport { blend } from "cellist/rvc";']
    : ["readVoice", 'import { blend, readVoice } from "cellist/rvc";'];
  return `${imports}
import address from "./${name}?url";

const voice = await ${read}(await fetch(address));
voice.warmUp({ batch: 16, k: 8, nprobe: ${nprobe} });

/** 16 frames of ${d} numbers, in place. */
export function towardsVoice(features) {
  return blend(voice, features, { k: 8, rate: 0.75, nprobe: ${nprobe} });
}`;
}

/** The words that make this file of the one that was dropped. */
function forShell(card, choice) {
  const name = nameOf(card, choice);
  if (choice.size === "full")
    return `npx cellist set "${card.name}" nprobe=${choice.nprobe} --out "${name}"\nnpx cellist measure "${name}"`;
  return `npx cellist shrink "${card.name}" --ratio ${RATIOS[choice.size]} --out "${name}"\nnpx cellist measure "${name}"`;
}

const RATIOS = { quarter: 4, eighth: 8, sixteenth: 16 };

export function download(blob, name) {
  const address = URL.createObjectURL(blob);
  h("a", { href: address, download: name }).click();
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
