import { cellPlot, cellTable, cellWords } from "./cells.js";
import { fill, h } from "./dom.js";
import { drawn, unspoken } from "./resize.js";

/** Frames of the walk that are followed: a word or two. */
const STEPS = 40;
/** Time from a frame to the next when it is watched: a third of the speed of speech. */
const PACE = 60;

/** The picture of the cells, with a spoken word's walk through them where there is one. */
export function cellSection(picture) {
  const figure = h("figure", { role: "img", "aria-label": "The cells of the voice, each a disc" });
  const walks = picture.walk.length > 0;
  let steps = walks ? STEPS : 0;
  let width = 0;
  const draw = () => fill(figure, unspoken(cellPlot(picture, width, steps)));
  drawn(figure, (measured) => {
    width = measured;
    draw();
  });
  let timer;
  const walk = h(
    "button",
    {
      type: "button",
      onClick: () => {
        clearInterval(timer);
        steps = matchMedia("(prefers-reduced-motion: reduce)").matches ? STEPS : 1;
        timer = setInterval(() => {
          steps = Math.min(STEPS, steps + 1);
          draw();
          if (steps >= STEPS || !figure.isConnected) clearInterval(timer);
        }, PACE);
      },
    },
    "Follow the words slowly",
  );
  return h(
    "section",
    { id: "cells", "aria-labelledby": "cells-title" },
    h("h2", { id: "cells-title" }, "The cells"),
    h(
      "p",
      {},
      "An index sorts the frames of a voice into cells of similar ones. A disc is a cell: its area the frames in it, its colour how far they lie ",
      "apart, from ",
      h("b", { style: "color: var(--choice)" }, "close"),
      " to wide. Cells near each other hold similar sounds. Outlined ones are empty or overfull.",
    ),
    cellWords(picture),
    figure,
    walks
      ? h(
          "p",
          {},
          walk,
          " ",
          h(
            "span",
            { class: "quiet" },
            "the line is the first words of the sentence, from the empty dot to the full one, a step every 20 ms",
          ),
        )
      : undefined,
    cellTable(picture),
  );
}
