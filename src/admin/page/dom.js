// Elements are made of texts and other elements, never of markup: what comes from outside can only ever be text.

const SVG = "http://www.w3.org/2000/svg";

// `make("button", {class: "primary", onclick: f, disabled: true}, "text", other)`; `null` children are left out.
export function make(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

export function draw(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export const byId = (id) => document.getElementById(id);

// Puts new content into an element. Who works with the keyboard stays at the control that has the same `data-focus`, or goes to
// the heading where there is none any more.
export function replace(element, ...children) {
  const active = document.activeElement;
  const inside = active && element.contains(active);
  const key = inside ? active.dataset.focus : null;
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
  if (!inside) return;
  const same = key && [...element.querySelectorAll("[data-focus]")].find((other) => other.dataset.focus === key);
  (same || heading(element))?.focus();
}

function heading(element) {
  return element.closest("section")?.querySelector("h1");
}

// A view's heading, which takes the focus when the view is opened.
export function title(view, text) {
  return make("h1", { id: `${view}-title`, tabindex: "-1" }, text);
}

// A table of which each cell knows its column, for narrow screens where rows become cards. `columns`: texts; `rows`: lists of nodes.
export function table(caption, columns, rows) {
  const head = make("tr", {}, columns.map((text) => make("th", { scope: "col" }, text)));
  const body = rows.map((cells) =>
    make("tr", {}, cells.map((cell, at) => make("td", { "data-column": columns[at] }, make("div", {}, cell)))));
  return make("div", { class: "scroll" },
    make("table", {}, make("caption", { class: "unseen" }, caption), make("thead", {}, head), make("tbody", {}, body)));
}

// Tells it to who cannot see it, and shows it for a while.
export function announce(text) {
  const said = byId("said");
  said.textContent = "";
  // A change of the text is what is read out, also where the same is said twice.
  requestAnimationFrame(() => { said.textContent = text; });
  clearTimeout(announce.timer);
  announce.timer = setTimeout(() => { said.textContent = ""; }, 6000);
}
