import { h } from "./dom.js";

/**
 * A slider with its label and what it says.
 *
 * @param {string} id
 * @param {{ label: string, input(value: number): void, max?: number, value?: number, step?: number, text?(value: number): string }} options
 * @returns {{ element: HTMLElement, value: number, set(value: number, max: number, words: string): void }}
 */
export function slider(id, { label, input, max = 0, value = 0, step = 1, text = String }) {
  const output = h("output", { for: id }, text(value));
  const range = h("input", { type: "range", id, min: 0, max, step, value, "aria-valuetext": text(value) });
  const show = (words) => {
    output.textContent = words;
    range.setAttribute("aria-valuetext", words);
  };
  range.addEventListener("input", () => {
    show(text(range.valueAsNumber));
    input(range.valueAsNumber);
  });
  return {
    element: h("div", { class: "slider" }, h("label", { for: id }, label), output, range),
    get value() {
      return range.valueAsNumber;
    },
    set(at, most, words) {
      range.max = most;
      range.value = at;
      range.disabled = most === 0;
      show(words);
    },
  };
}
