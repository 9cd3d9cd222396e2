// The configuration in force, and taking up the file anew.

import { ask } from "./api.js";
import { announce, make, replace, title } from "./dom.js";
import { say } from "./words.js";

// A text this long stands beside its key; longer ones are folded away.
const SHORT = 60;

let config = null;
let problem = null;
let told = null;
let body;
let said;

export const name = "config";

export function reset() {
  [config, problem, told] = [null, null, null];
}

export function mount(section) {
  [body, said] = [make("div"), make("div", { role: "status" })];
  section.replaceChildren(
    title(name, say("view.config")),
    make("p", { class: "hint" }, say("config.what")),
    make("div", { class: "tools" },
      make("button", { type: "button", id: "reload", class: "primary", onclick: reload }, say("config.reload")),
      make("span", { class: "hint" }, say("config.reload_what"))),
    said, body);
  draw();
}

export async function load() {
  try {
    [config, problem] = [await ask("GET", "config"), null];
  } catch (caught) {
    problem = caught;
  }
  draw();
}

// `enforce` or `observe`, once known.
export const mode = () => config?.mode;

async function reload(event) {
  const button = event.currentTarget;
  button.disabled = true;
  try {
    const { changed, warnings } = await ask("POST", "reload");
    const text = changed.length === 0 ? say("config.unchanged") : say("config.changed", changed.join(", "));
    told = { good: true, text, lines: warnings };
  } catch (caught) {
    told = { good: false, text: caught.text, lines: caught.faults };
  }
  button.disabled = false;
  button.focus();
  announce(told.text);
  await load();
}

export function draw() {
  if (!body) return;
  said.replaceChildren(...(told ? [answer()] : []));
  const trouble = problem && make("p", { class: "problem", role: "alert" }, problem.text);
  replace(body, trouble, config ? tree() : make("p", { class: "hint" }, say("loading")));
}

function answer() {
  return make("div", { class: told.good ? "done" : "problem" },
    make("p", {}, told.text),
    told.lines.length > 0 ? make("ul", {}, told.lines.map((line) => make("li", {}, make("code", {}, line)))) : null);
}

// Which keys are unfolded, so that they stay so when the configuration is read again.
const open = new Set();

function tree() {
  return make("dl", { class: "card config" }, Object.entries(config).map(([key, value]) => {
    const text = JSON.stringify(value, null, 2) ?? "";
    const line = JSON.stringify(value) ?? "";
    return make("div", {}, make("dt", {}, make("code", {}, key)), make("dd", {}, line.length <= SHORT ? make("code", {}, line) : folded(key, line, text)));
  }));
}

function folded(key, line, text) {
  const note = () => (details.open ? open.add(key) : open.delete(key));
  const details = make("details", { open: open.has(key), ontoggle: note },
    make("summary", { "data-focus": key, "aria-label": key }, make("code", {}, `${line.slice(0, SHORT)}…`)),
    make("pre", { tabindex: "0", "aria-label": key }, text));
  return details;
}
