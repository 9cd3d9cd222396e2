// The page of the admin listener: signing in, the views, the language.

import { ask, forget, use } from "./api.js";
import * as clients from "./clients.js";
import * as config from "./config.js";
import { announce, byId, make } from "./dom.js";
import * as overview from "./overview.js";
import * as refusals from "./refusals.js";
import * as sessions from "./sessions.js";
import { Ticker } from "./ticker.js";
import { current, say, speak, translate } from "./words.js";

const VIEWS = [overview, refusals, clients, sessions, config];
const LOOK_EVERY = 2000;

let view = null;
let signedIn = false;

// Figures are gathered whichever view is open, so that the chart has no holes.
const looking = new Ticker(LOOK_EVERY, async () => { await overview.load(); head(); });
const following = new Ticker(refusals.every, () => refusals.load());

async function enter(event) {
  event.preventDefault();
  const [field, button, problem] = [byId("token"), byId("entry").querySelector("button"), byId("entry-problem")];
  const token = field.value.trim();
  if (token === "") return complain(say("entry.empty"));
  use(token, () => leave(say("entry.refused")));
  button.disabled = true;
  problem.hidden = true;
  signedIn = true;
  try {
    await ask("GET", "refusals");
    field.value = "";
    open();
  } catch (caught) {
    // A token that does not fit has been dealt with.
    if (signedIn) leave(caught.text);
  } finally {
    button.disabled = false;
  }
}

function complain(text) {
  const problem = byId("entry-problem");
  problem.textContent = text;
  problem.hidden = false;
  byId("token").setAttribute("aria-invalid", "true");
  byId("token").focus();
}

function open() {
  byId("token").removeAttribute("aria-invalid");
  for (const id of ["views", "leave"]) byId(id).hidden = false;
  byId("entry").hidden = true;
  for (const each of VIEWS) {
    each.reset();
    each.mount(byId(each.name));
  }
  looking.start();
  config.load().then(head);
  show();
}

// Forgets the token and everything that it showed.
function leave(why) {
  signedIn = false;
  forget();
  looking.stop();
  following.stop();
  view = null;
  if (byId("dialog").open) byId("dialog").close();
  for (const each of VIEWS) {
    each.reset();
    byId(each.name).hidden = true;
    byId(each.name).replaceChildren();
  }
  for (const id of ["views", "leave", "standing"]) byId(id).hidden = true;
  byId("entry").hidden = false;
  byId("entry-problem").hidden = true;
  document.title = "Ticketgate";
  if (why) complain(why);
  else byId("token").focus();
}

// Opens the view that the address names, which is all that the address ever names.
function show() {
  if (!signedIn) return;
  const next = VIEWS.find((each) => `#${each.name}` === location.hash) ?? view ?? overview;
  if (next === view) return;
  view = next;
  for (const each of VIEWS) byId(each.name).hidden = each !== view;
  for (const link of byId("views").querySelectorAll("a")) {
    if (link.hash === `#${view.name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  following.stop();
  if (view === refusals) following.start();
  else if (view !== overview) view.load();
  name();
  byId(`${view.name}-title`).focus({ preventScroll: true });
  scrollTo(0, 0);
}

function name() {
  document.title = view ? `${say(`view.${view.name}`)} · Ticketgate` : "Ticketgate";
}

// How the gate is, whichever view is open.
function head() {
  if (!signedIn) return;
  const how = overview.standing();
  const standing = byId("standing");
  standing.hidden = how === null;
  standing.className = `standing ${how === "ready" ? "good" : "bad"}`;
  const parts = [make("span", {}, say(`standing.${how}`))];
  if (config.mode() === "observe") parts.push(make("span", { class: "badge observed" }, say("standing.observe")));
  const text = parts.map((part) => part.textContent).join();
  if (standing.dataset.text === text) return;
  standing.dataset.text = text;
  standing.replaceChildren(...parts);
}

function choose(language) {
  if (language === current()) return;
  speak(language);
  translate();
  name();
  if (!signedIn) return;
  for (const each of VIEWS) each.mount(byId(each.name));
  head();
  announce(say("language.chosen"));
}

translate();
for (const button of document.querySelectorAll("[data-language]")) button.addEventListener("click", () => choose(button.dataset.language));
byId("entry").addEventListener("submit", enter);
byId("leave").addEventListener("click", () => leave());
addEventListener("hashchange", show);
byId("token").focus();
