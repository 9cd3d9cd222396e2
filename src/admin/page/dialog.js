// Questions in front of the page. The browser keeps the focus inside and gives it back.

import { byId, make } from "./dom.js";
import { say } from "./words.js";

// Shows a dialog; `build(close)` gives its content, and what `close` is called with is the answer. Escape answers null, except where
// something would be lost.
function open(heading, build, { locked = false } = {}) {
  const dialog = byId("dialog");
  return new Promise((resolve) => {
    let result = null;
    const close = (answer) => { result = answer; dialog.close(); };
    // Not `cancel`: Chromium lets a second Escape pass whatever that says.
    const hold = (event) => { if (locked && event.key === "Escape") event.preventDefault(); };
    dialog.addEventListener("keydown", hold);
    dialog.addEventListener("close", () => {
      dialog.removeEventListener("keydown", hold);
      // Nothing of it stays in the page: it may have shown a secret.
      dialog.replaceChildren();
      resolve(result);
    }, { once: true });
    dialog.replaceChildren(make("h2", { id: "dialog-title" }, heading), ...build(close));
    dialog.showModal();
  });
}

// Whether the operator is sure. The safe answer has the focus.
export async function confirm(heading, text, action, danger = true) {
  return (await open(heading, (close) => [
    make("p", {}, text),
    make("p", { class: "actions" },
      make("button", { type: "button", autofocus: true, onclick: () => close(false) }, say("cancel")),
      make("button", { type: "button", class: danger ? "danger" : "primary", onclick: () => close(true) }, action)),
  ])) === true;
}

// Asks for fields and sends them: `send(values)` may throw a problem, which is shown while the dialog stays. What it returned, or null.
export function form(heading, text, fields, action, send) {
  return open(heading, (close) => {
    const trouble = make("p", { class: "problem", role: "alert", hidden: true });
    const button = make("button", { type: "submit", class: "primary" }, action);
    const submit = async (event) => {
      event.preventDefault();
      button.disabled = true;
      trouble.hidden = true;
      try {
        close(await send(Object.fromEntries(fields.map((field) => [field.name, field.read()]))));
      } catch (problem) {
        trouble.textContent = problem.text ?? String(problem);
        trouble.hidden = false;
        button.disabled = false;
      }
    };
    return [make("form", { onsubmit: submit, novalidate: true },
      text && make("p", {}, text),
      fields.map((field) => field.element),
      trouble,
      make("p", { class: "actions" }, make("button", { type: "button", onclick: () => close(null) }, say("cancel")), button))];
  });
}

// A field of a form: a text, with a hint.
export function text(name, label, hint, value = "", suggestions = []) {
  const input = make("input", {
    id: `field-${name}`, value, autocomplete: "off", spellcheck: "false", autocapitalize: "off", "aria-describedby": `hint-${name}`,
    list: suggestions.length > 0 ? `list-${name}` : null,
  });
  const list = suggestions.length > 0 ? make("datalist", { id: `list-${name}` }, suggestions.map((one) => make("option", { value: one }))) : null;
  const element = make("div", { class: "field" },
    make("label", { for: input.id }, label), input, list, make("p", { class: "hint", id: `hint-${name}` }, hint));
  return { name, element, read: () => input.value.trim() };
}

// A field of which any number may be chosen.
export function choices(name, label, options) {
  const boxes = options.map((option) => make("input", { type: "checkbox", value: option, checked: true }));
  const element = make("fieldset", {}, make("legend", {}, label), boxes.map((box) => make("label", { class: "choice" }, box, " ", box.value)));
  return { name, element, read: () => boxes.filter((box) => box.checked).map((box) => box.value) };
}

// Shows a secret this one time.
export function secret(heading, id, value) {
  return open(heading, (close) => {
    const field = make("input", { id: "secret", class: "secret", readonly: true, value, "aria-describedby": "secret-once", onfocus: () => field.select() });
    const copy = make("button", { type: "button", class: "primary", autofocus: true, onclick: () => take(field, note) }, say("secret.copy"));
    const note = make("p", { class: "hint", role: "status" });
    return [
      make("p", {}, say("secret.of"), " ", make("code", {}, id)),
      make("p", { class: "warning", id: "secret-once" }, say("secret.once")),
      make("p", { class: "field row" }, make("label", { for: "secret", class: "unseen" }, say("secret.label")), field, copy),
      note,
      make("p", { class: "actions" }, make("button", { type: "button", onclick: () => close(true) }, say("secret.kept"))),
    ];
  }, { locked: true });
}

async function take(field, note) {
  try {
    await navigator.clipboard.writeText(field.value);
    note.textContent = say("secret.copied");
  } catch {
    // Browsers give the clipboard to pages from this machine or over TLS only.
    field.focus();
    field.select();
    note.textContent = say("secret.by_hand");
  }
}
