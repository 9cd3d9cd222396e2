// The latest requests that were refused, and why.

import { ask } from "./api.js";
import { make, replace, table, title } from "./dom.js";
import { count, moment, say } from "./words.js";

let refusals = [];
let problem = null;
let loaded = false;
let reason = null;
let wanted = "";
let drawn = "";
let summary;
let rows;

export const name = "refusals";
export const every = 4000;

export function reset() {
  [refusals, problem, loaded, reason, wanted] = [[], null, false, null, ""];
}

export function mount(section) {
  const search = make("input", { type: "search", id: "refusals-search", value: wanted, autocomplete: "off", oninput: () => find(search.value) });
  [summary, rows] = [make("div"), make("div")];
  section.replaceChildren(
    title(name, say("view.refusals")),
    make("p", { class: "hint" }, say("refusals.what")),
    summary,
    make("p", { class: "field" }, make("label", { for: "refusals-search" }, say("refusals.search")), search),
    rows);
  drawn = "";
  draw();
}

export async function load() {
  try {
    [refusals, problem, loaded] = [(await ask("GET", "refusals")).refusals, null, true];
  } catch (caught) {
    problem = caught;
  }
  draw();
}

function find(text) {
  wanted = text;
  draw();
}

function choose(other) {
  reason = reason === other ? null : other;
  draw();
}

export function draw() {
  if (!rows) return;
  // What is the same stays as it is, so that it can be read and marked.
  const now = JSON.stringify([refusals[0]?.request_id, refusals.length, reason, wanted, problem?.text, loaded]);
  if (now === drawn) return;
  drawn = now;
  replace(summary, reasons());
  const trouble = problem && make("p", { class: "problem", role: "alert" }, problem.text);
  const shown = refusals.filter(fits);
  replace(rows, trouble, loaded ? listed(shown) : make("p", { class: "hint" }, say("loading")));
}

function fits(refusal) {
  if (reason && refusal.reason !== reason) return false;
  const text = wanted.trim().toLowerCase();
  return !text || JSON.stringify(Object.values(refusal)).toLowerCase().includes(text);
}

function reasons() {
  const counts = new Map();
  for (const refusal of refusals) counts.set(refusal.reason, (counts.get(refusal.reason) ?? 0) + 1);
  const sorted = [...counts].sort((one, other) => other[1] - one[1]);
  return sorted.length === 0 ? null : make("ul", { class: "reasons card", "aria-label": say("refusals.by_reason") }, sorted.map(row));
}

function row([name, many]) {
  const button = make("button", {
    type: "button", class: "reason", "aria-pressed": String(reason === name), "data-focus": `reason ${name}`, onclick: () => choose(name),
  }, make("code", {}, name), " ", make("span", { class: "many" }, count(many)));
  return make("li", {}, button, make("span", {}, say.has(`reason.${name}`) ? say(`reason.${name}`) : ""));
}

function listed(shown) {
  if (refusals.length === 0) return make("p", { class: "card hint" }, say("refusals.none"));
  if (shown.length === 0) return make("p", { class: "card hint" }, say("refusals.none_fits"));
  const columns = ["time", "reason", "request", "who", "rule"].map((column) => say(`column.${column}`));
  return make("div", { class: "card" },
    make("p", { class: "hint", role: "status" }, say("refusals.shown", count(shown.length), count(refusals.length))),
    table(say("view.refusals"), columns, shown.map(cells)));
}

function cells(refusal) {
  const who = [refusal.ip, refusal.client_id && say("refusals.client", refusal.client_id), refusal.user_id && say("refusals.user", refusal.user_id)];
  return [
    make("time", { datetime: refusal.ts }, moment(Date.parse(refusal.ts) / 1000)),
    [make("code", { class: `badge ${refusal.outcome}` }, refusal.reason), small(refusal.detail), refusal.outcome === "observed" ? small(say("outcome.observed")) : null],
    [make("span", { class: "path" }, `${refusal.method} ${refusal.path}`), small(say("refusals.id", refusal.request_id, refusal.status))],
    who.filter(Boolean).map((text) => make("span", { class: "line" }, text)),
    refusal.rule ? make("code", {}, refusal.rule) : say("none"),
  ].map((cell) => [cell].flat().filter((part) => part !== null)).map((cell) => make("div", {}, cell));
}

function small(text) {
  return text ? make("span", { class: "line small" }, text) : null;
}
