// Where a user is logged in, and ending it.

import { ask, segment } from "./api.js";
import { confirm } from "./dialog.js";
import { announce, make, replace, table, title } from "./dom.js";
import { count, distance, moment, say } from "./words.js";

// The first that the User-Agent holds is what most people would call the device.
const DEVICES = ["iPhone", "iPad", "HarmonyOS", "Android", "Windows", "Macintosh", "Linux"];

let user = "";
let sessions = null;
let problem = null;
let rows;
let field;

export const name = "sessions";

export function reset() {
  [user, sessions, problem] = ["", null, null];
}

export function mount(section) {
  field = make("input", { id: "user", value: user, autocomplete: "off", spellcheck: "false", autocapitalize: "off", required: true });
  rows = make("div");
  const look = (event) => { event.preventDefault(); find(field.value); };
  section.replaceChildren(
    title(name, say("view.sessions")),
    make("p", { class: "hint" }, say("sessions.what")),
    make("form", { class: "tools", onsubmit: look, novalidate: true },
      make("p", { class: "field" }, make("label", { for: "user" }, say("sessions.user")), field),
      make("button", { type: "submit", class: "primary" }, say("sessions.show"))),
    rows);
  draw();
}

async function find(text) {
  [user, sessions, problem] = [text, null, null];
  if (user === "") return field.focus();
  await load();
  if (sessions) announce(say("sessions.found", count(sessions.length), user));
}

export async function load() {
  if (user === "") return;
  const asked = user;
  try {
    const found = (await ask("GET", path())).sessions;
    // Another user may have been asked for meanwhile.
    if (asked === user) [sessions, problem] = [found, null];
  } catch (caught) {
    if (asked === user) problem = caught;
  }
  draw();
}

const path = () => `users/${segment(user)}/sessions`;

export function draw() {
  if (!rows) return;
  const trouble = problem && make("p", { class: "problem", role: "alert" }, problem.text);
  replace(rows, trouble, sessions && listed());
}

function listed() {
  if (sessions.length === 0) return make("p", { class: "card hint" }, say("sessions.none", user));
  const columns = ["device", "address", "client", "last_use", "created", "actions"].map((column) => say(`column.${column}`));
  return make("div", { class: "card" },
    make("div", { class: "tools" },
      make("h2", {}, say("sessions.of", user, count(sessions.length))),
      make("button", { type: "button", class: "danger", "data-focus": "all", onclick: endAll }, say("sessions.end_all"))),
    table(say("view.sessions"), columns, sessions.map(cells)));
}

function cells(session) {
  const agent = session.user_agent;
  const device = DEVICES.find((device) => agent.includes(device));
  return [
    [device ? make("strong", { class: "line" }, device) : null, make("span", { class: "line small agent" }, agent || say("sessions.no_agent"))],
    [session.ip || "–"],
    [session.client_id ? make("code", {}, session.client_id) : "–"],
    [make("span", { class: "line" }, distance(session.last_use)), small(moment(session.last_use))],
    [make("span", { class: "line" }, moment(session.created)), small(say("sessions.expires", moment(session.expires)))],
    [make("button", {
      type: "button", class: "danger quiet", "data-focus": session.id, "aria-label": say("sessions.end_named", device ?? "", session.ip), onclick: () => end(session),
    }, say("sessions.end")), small(session.id)],
  ].map((cell) => make("div", {}, cell.filter((part) => part !== null)));
}

function small(text) {
  return make("span", { class: "line small" }, text);
}

async function end(session) {
  const sure = await confirm(say("sessions.end_title"), say("sessions.end_what", user, session.ip || "–"), say("sessions.end"));
  if (sure) await act(() => ask("DELETE", `${path()}/${segment(session.id)}`));
}

async function endAll() {
  const sure = await confirm(say("sessions.end_all_title", user), say("sessions.end_all_what", count(sessions.length)), say("sessions.end_all"));
  if (sure) await act(() => ask("DELETE", path()));
}

async function act(work) {
  let caught = null;
  try {
    announce(say("sessions.ended", count((await work()).ended)));
  } catch (problem) {
    caught = problem;
  }
  // Also after an error: somebody else may have ended it.
  await load();
  problem = caught ?? problem;
  draw();
}
