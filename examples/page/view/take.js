import { forShell, forVite, nameOf } from "./commands.js";
import { fill, h } from "./dom.js";
import { reportOf } from "./report.js";
import { sizeName } from "./trade-off.js";
import { megabytes } from "./words.js";

const HALF = "The same cells, its numbers of 16 bits in place of 32: RVC and all else that uses faiss reads it.";
const CODED =
  "A voice file of cellist’s own, for pages and programs that use it; for RVC itself take the full size, or half of it.";

/** Take the voice home, as it was chosen, with the words to use it. */
export function takeSection({ voice, card, say }, state) {
  const what = h("p");
  const code = h("code");
  const line = h("code");
  const save = h("button", { type: "button", class: "first", id: "save" }, "Save the file");
  const report = h("button", { type: "button", id: "report" }, "Save a report");
  const plain = h("button", { type: "button", id: "plain" }, "Save it as an .index, for RVC");
  const take = async (button, name, faiss) => {
    button.disabled = true;
    const { size, nprobe } = state.choice;
    try {
      const bytes = await voice.call("take", { size, nprobe, faiss });
      download(new Blob([bytes], { type: "application/octet-stream" }), name);
      say("The file is saved.");
    } finally {
      button.disabled = false;
    }
  };
  save.addEventListener("click", () => take(save, nameOf(card, state.choice), false));
  plain.addEventListener("click", () => take(plain, nameOf(card, state.choice).replace(/voice$/, "index"), true));
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
          : `The same voice at ${sizeName(choice.size)}: ${megabytes(choice.bytes)} in place of ${megabytes(today.bytes)}. ${choice.size === "half" ? HALF : CODED}`;
    fill(what, h("span", { class: "file" }, name), h("br"), changed);
    code.textContent = forVite(name, card, choice);
    line.textContent = forShell(card, choice, today);
  };
  state.changed.push(update);
  update();
  return h(
    "section",
    { id: "take", "aria-labelledby": "take-title" },
    h("h2", { id: "take-title" }, "Take it home"),
    what,
    h("p", { class: "buttons" }, save, card.name.endsWith(".voice") ? plain : undefined, report),
    h("h3", {}, "In a page of yours, with Vite"),
    h("pre", { tabindex: "0", "aria-label": "Code for Vite" }, code),
    h("h3", {}, "On the command line"),
    h("pre", { tabindex: "0", "aria-label": "Words for the command line" }, line),
  );
}

export function download(blob, name) {
  const address = URL.createObjectURL(blob);
  h("a", { href: address, download: name }).click();
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
