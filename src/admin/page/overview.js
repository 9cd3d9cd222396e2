// Whether all is well, what comes, and what is refused.

import { health, metrics } from "./api.js";
import { chart } from "./chart.js";
import { announce, make, replace, table, title } from "./dom.js";
import { History, look } from "./figures.js";
import { count, distance, fine, moment, say } from "./words.js";

// The rates shown as numbers are those of the last seconds, so that a quiet gate does not flicker.
const LATELY = 10;
const MOST_ROWS = 20;

let history = new History();
let state = null;
let missing = null;
let body;
let parts;

export const name = "overview";

export function reset() {
  [history, state, missing] = [new History(), null, null];
}

export function mount(section) {
  body = make("div");
  section.replaceChildren(title(name, say("view.overview")), body);
  draw();
}

export async function load() {
  try {
    const [found, text] = await Promise.all([health(), metrics()]);
    missing = null;
    tell(found);
    state = found;
    history.add(look(text, performance.now()));
  } catch (problem) {
    if (!missing) announce(problem.text);
    missing = problem;
  }
  draw();
}

// `ready`, `not_ready`, `away`, or null before the first look; for the page's head.
export function standing() {
  return missing ? "away" : state && state.status;
}

export const version = () => history.last?.version ?? "";

// Reads out what changed, and nothing of what stays.
function tell(found) {
  if (!state) return;
  for (const part of ["store", "upstream"]) {
    if ((found[part] === "ok") !== (state[part] === "ok")) {
      announce(`${say(`part.${part}`)}: ${found[part] === "ok" ? say("part.ok") : found[part]}`);
    }
  }
  if (found.draining && !state.draining) announce(say("part.draining"));
}

export function draw() {
  if (!body) return;
  const trouble = missing && make("p", { class: "problem", role: "alert" }, missing.text);
  if (!state || !history.last) return replace(body, trouble ?? make("p", { class: "hint" }, say("loading")));
  const last = history.last;
  parts = [trouble, cards(last), tiles(last), rates(), refused(), make("p", { class: "hint" }, since(last))];
  replace(body, parts);
}

function since(last) {
  return say("overview.since", last.version, moment(last.started));
}

function cards(last) {
  const gate = state.draining ? ["bad", say("part.draining")] : ["good", say("part.running", distance(last.started))];
  const config = last.configTaken
    ? ["good", say("part.config_at", moment(last.configAt))]
    : ["bad", say("part.config_faults")];
  const part = (text) => (text === "ok" ? ["good", say("part.ok")] : ["bad", text]);
  return make("ul", { class: "cards", "aria-label": say("overview.health") },
    card("gate", gate), card("store", part(state.store)), card("upstream", part(state.upstream)), card("config", config));
}

function card(part, [how, text]) {
  return make("li", { class: `card state ${how}`, "data-part": part },
    make("h2", {}, say(`part.${part}`)),
    make("p", {}, make("strong", {}, say(`state.${how}`)), " ", text));
}

function tiles(last) {
  const rates = history.rates(LATELY);
  const all = Object.values(rates).reduce((sum, rate) => sum + rate, 0);
  const milliseconds = (pair) => { const mean = history.mean(pair); return mean === null ? "–" : `${fine(mean)} ms`; };
  const [open, most] = last.connections;
  const perSecond = (key, rate) => tile(key, say(`tile.${key}`), fine(rate), say("unit.per_second"), "", ["refused", "failed"].includes(key) && rate > 0);
  const counted = (key, value) => tile(key, say(`tile.${key}`), count(value), "", say("tile.since_start"), value > 0);
  return make("dl", { class: "tiles" },
    perSecond("all", all),
    perSecond("forwarded", rates.forwarded),
    perSecond("refused", rates.refused),
    perSecond("failed", rates.failed),
    last.outcomes.observed > 0 ? perSecond("observed", rates.observed) : null,
    tile("took", say("tile.took"), milliseconds("took"), "", say("tile.upstream", milliseconds("upstream"))),
    tile("connections", say("tile.connections"), count(open), "", say("tile.connections_of", count(most), count(last.websockets))),
    counted("store_errors", last.storeErrors),
    counted("tokens", last.tokens));
}

function tile(key, label, value, unit, below, alarming = false) {
  return make("div", { class: alarming ? "tile alarming" : "tile", "data-tile": key },
    make("dt", {}, label),
    make("dd", {}, make("span", { class: "value" }, value), " ", make("span", { class: "unit" }, unit), make("span", { class: "below" }, below)));
}

function rates() {
  const steps = history.steps();
  const passed = steps.map((rate) => [rate.at, rate.forwarded + rate.observed]);
  const stopped = steps.map((rate) => [rate.at, rate.refused + rate.failed]);
  const now = (values) => fine(values.at(-1)?.[1] ?? 0);
  return make("figure", { class: "card" },
    make("figcaption", {}, make("h2", {}, say("chart.title")),
      make("p", { class: "legend" }, make("span", { class: "passed" }, say("tile.forwarded")),
        make("span", { class: "stopped" }, say("chart.stopped")))),
    chart(passed, stopped, say("chart.says", now(passed), now(stopped))));
}

function refused() {
  const rows = history.refused().slice(0, MOST_ROWS);
  const cells = ({ rule, reason, outcome, total, lately }) => [
    make("code", {}, reason),
    rule ? make("code", {}, rule) : say("none"),
    say(`outcome.${outcome}`),
    count(lately),
    count(total),
  ];
  const columns = ["reason", "rule", "outcome", "lately", "total"].map((column) => say(`column.${column}`));
  return make("div", { class: "card" },
    make("h2", {}, say("overview.refused")),
    rows.length === 0
      ? make("p", { class: "hint" }, say("overview.none_refused"))
      : table(say("overview.refused"), columns, rows.map(cells)),
    make("p", { class: "hint" }, make("a", { href: "#refusals" }, say("overview.to_refusals"))));
}
