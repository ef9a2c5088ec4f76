import { filesOf } from "../files.js";
import { Voice } from "../voice.js";
import { fill, h, table } from "./dom.js";
import { announce, facts } from "./voice.js";
import { milliseconds } from "./words.js";

/** A second voice beside the first. */
export function compareSection({ worker, card, isCurrent }, state) {
  const problem = h("p", { role: "alert" });
  const outcome = h("div");
  let other;
  const open = async (files) => {
    other?.end();
    const voice = (other = new Voice(worker));
    problem.textContent = "";
    fill(outcome, h("p", { role: "status" }, "Opening and measuring the other file …"));
    try {
      const its = await voice.call("open", { files });
      const points = await voice.call("measure", {}, () => undefined);
      if (voice !== other || !isCurrent()) return voice.end();
      const today = points.find(({ nprobe }) => nprobe === its.nprobe) ?? points[0];
      state.other = points;
      fill(outcome, sideBySide([card, state.today], [its, today]));
      announce(state);
    } catch (error) {
      if (voice !== other) return;
      fill(outcome);
      problem.textContent = error.message;
    }
    voice.end();
  };
  const input = h("input", {
    type: "file",
    accept: ".index,.faiss,.ivf,.voice,.zip,.npy",
    multiple: true,
    hidden: true,
    "aria-label": "Another voice's file",
  });
  input.addEventListener("change", () => void open([...input.files]));
  const choose = h("button", { type: "button", id: "another", onClick: () => input.click() }, "Choose another file");
  const section = h(
    "section",
    { id: "compare", "aria-labelledby": "compare-title" },
    h("h2", { id: "compare-title" }, "Beside another"),
    h(
      "p",
      {},
      "The same voice from another training, or another voice: choose a second file, or drop it here, and see both side by side.",
    ),
    h("p", {}, choose, input),
    problem,
    outcome,
  );
  section.addEventListener("drop", async (event) => {
    // Elsewhere on the page a drop is a new voice.
    event.preventDefault();
    event.stopPropagation();
    document.body.classList.remove("over");
    void open(await filesOf(event.dataTransfer));
  });
  return section;
}

function sideBySide([first, today], [second, its]) {
  const [a, b] = [facts(first), facts(second)];
  const rows = Object.keys(a).map((name) => [name, a[name], b[name]]);
  return table(
    ["file", first.name, second.name],
    [
      ...rows,
      ["recall@8 as it is", today.recall.toFixed(3), its.recall.toFixed(3)],
      ["blend error as it is", today.error.toFixed(3), its.error.toFixed(3)],
      ["a block", milliseconds(today.ms), milliseconds(its.ms)],
    ],
  );
}
