/**
 * An element.
 *
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes] functions are listeners, false and undefined leave an attribute out
 * @param {...(Node | string | undefined)} children
 */
export function h(tag, attributes = {}, ...children) {
  return made(document.createElement(tag), attributes, children);
}

/** An element of a picture. */
export function svg(tag, attributes = {}, ...children) {
  return made(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function made(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2).toLowerCase(), value);
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

/** A table that says what a picture shows, folded away. */
export function tableBehind(summary, head, rows) {
  return h(
    "details",
    { class: "behind" },
    h("summary", {}, summary),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": summary }, table(head, rows)),
  );
}

export function table(head, rows) {
  const cells = (row) => row.map((cell, i) => (i === 0 ? h("th", { scope: "row" }, cell) : h("td", {}, cell)));
  return h(
    "table",
    {},
    h("thead", {}, h("tr", {}, ...head.map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", {}, ...rows.map((row) => h("tr", {}, ...cells(row)))),
  );
}

/** Puts what is new in the place of what an element held. */
export function fill(element, ...children) {
  element.replaceChildren(...children.filter((child) => child !== undefined));
}
