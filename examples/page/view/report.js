import { h, table } from "./dom.js";
import { sizeName } from "./trade-off.js";
import { facts } from "./voice.js";
import { megabytes, milliseconds, percent } from "./words.js";

/** All that was measured as one HTML file that stands alone. */
export function reportOf({ card, points, today, choice }, picture) {
  const terms = Object.entries(facts(card)).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)));
  const rows = points.map((p) => [
    `${sizeName(p.size)}${p === today ? " (today)" : p === choice ? " (chosen)" : ""}`,
    String(p.nprobe),
    megabytes(p.bytes),
    p.recall.toFixed(3),
    p.error.toFixed(3),
    milliseconds(p.ms),
  ]);
  const body = h(
    "main",
    {},
    h("h1", {}, "What this voice’s index misses"),
    h("p", { class: "file" }, card.name),
    h("dl", {}, ...terms),
    h("p", { class: "number" }, percent(1 - today.recall)),
    h(
      "p",
      { class: "claim" },
      `of the nearest neighbours are missed at nprobe ${today.nprobe}, ${percent(1 - choice.recall)} at nprobe ${choice.nprobe}, ${sizeName(choice.size)}.`,
    ),
    h("figure", {}, picture.cloneNode(true)),
    table(["size", "nprobe", "file", "recall@8", "blend error", "a block"], rows),
    h(
      "footer",
      {},
      h("p", {}, `Measured by cellist on ${new Date().toISOString().slice(0, 10)}, in ${navigator.userAgent}.`),
      h(
        "p",
        {},
        "recall@8: the share of the 8 truly nearest frames that is found. Blend error: how far a blend ends from the exact one, as a share of how far ",
        "that one moves a frame. A block: 16 frames, of which RVC brings the next after 250 ms.",
      ),
    ),
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>What this voice’s index misses</title><style>${document.querySelector("style").textContent}</style></head><body style="padding-top:3rem">${body.outerHTML}</body></html>
`;
}
