// Registered programs: registering, rotating, disabling, removing.

import { ask, segment } from "./api.js";
import * as dialog from "./dialog.js";
import { announce, make, replace, table, title } from "./dom.js";
import { count, moment, say } from "./words.js";

const MOST_ROWS = 200;
const ALGORITHMS = ["md5", "hmac-sha256"];

let clients = null;
let problem = null;
let wanted = "";
let rows;

export const name = "clients";

export function reset() {
  [clients, problem, wanted] = [null, null, ""];
}

export function mount(section) {
  const search = make("input", { type: "search", id: "clients-search", value: wanted, autocomplete: "off", oninput: () => { wanted = search.value; draw(); } });
  rows = make("div");
  section.replaceChildren(
    title(name, say("view.clients")),
    make("p", { class: "hint" }, say("clients.what")),
    make("div", { class: "tools" },
      make("p", { class: "field" }, make("label", { for: "clients-search" }, say("clients.search")), search),
      make("button", { type: "button", class: "primary", id: "register", onclick: register }, say("clients.register"))),
    rows);
  draw();
}

export async function load() {
  try {
    [clients, problem] = [(await ask("GET", "clients")).clients, null];
  } catch (caught) {
    problem = caught;
  }
  draw();
}

export function draw() {
  if (!rows) return;
  const trouble = problem && make("p", { class: "problem", role: "alert" }, problem.text);
  if (!clients) return replace(rows, trouble ?? make("p", { class: "hint" }, say("loading")));
  const text = wanted.trim().toLowerCase();
  const fitting = clients.filter((client) => `${client.id}\n${client.name}`.toLowerCase().includes(text));
  const shown = fitting.slice(0, MOST_ROWS);
  const columns = ["client", "state", "endpoints", "created", "actions"].map((column) => say(`column.${column}`));
  replace(rows, trouble,
    shown.length === 0
      ? make("p", { class: "card hint" }, say(clients.length === 0 ? "clients.none" : "clients.none_fits"))
      : make("div", { class: "card" }, table(say("view.clients"), columns, shown.map(cells))),
    fitting.length > shown.length ? make("p", { class: "hint" }, say("clients.more", count(fitting.length - shown.length))) : null);
}

function cells(client) {
  return [
    [make("code", {}, client.id), client.name ? make("span", { class: "line" }, client.name) : null],
    [make("span", { class: `badge ${client.enabled ? "on" : "off"}` }, say(client.enabled ? "clients.enabled" : "clients.disabled")),
      client.old_secret_until ? make("span", { class: "line small" }, say("clients.old_until", moment(client.old_secret_until))) : null],
    [make("span", { class: "line" }, client.endpoints.join(", ")), make("span", { class: "line small" }, client.algorithms.join(", "))],
    [client.source === "file" ? say("clients.of_file") : moment(client.created)],
    [client.source === "file" ? make("span", { class: "hint" }, say("clients.change_file")) : actions(client)],
  ].map((cell) => make("div", {}, cell.filter((part) => part !== null)));
}

function actions(client) {
  const button = (what, label, action, danger) => make("button", {
    type: "button", class: danger ? "danger quiet" : "quiet", "data-focus": `${what} ${client.id}`, "aria-label": say("clients.act_on", label, client.id), onclick: action,
  }, label);
  return make("div", { class: "actions" },
    button("rotate", say("clients.rotate"), () => rotate(client)),
    client.enabled
      ? button("switch", say("clients.disable"), () => disable(client))
      : button("switch", say("clients.enable"), () => change(client, { enabled: true }, say("clients.is_enabled", client.id))),
    button("remove", say("clients.remove"), () => remove(client), true));
}

async function register() {
  const fields = [
    dialog.text("id", say("clients.id"), say("clients.id_hint")),
    dialog.text("name", say("clients.name"), say("clients.name_hint")),
    dialog.text("endpoints", say("clients.endpoints"), say("clients.endpoints_hint"), "*"),
    dialog.choices("algorithms", say("clients.algorithms"), ALGORITHMS),
  ];
  const send = ({ id, name, endpoints, algorithms }) => {
    const list = endpoints.split(/[\s,]+/).filter(Boolean);
    return ask("POST", "clients", { ...(id && { id }), ...(name && { name }), endpoints: list, algorithms });
  };
  const made = await dialog.form(say("clients.register_title"), null, fields, say("clients.register_go"), send);
  if (made) await show(made, say("clients.is_registered", made.id));
}

async function rotate(client) {
  const keep = dialog.text("keep_old", say("clients.keep_old"), say("clients.keep_old_hint"), "24h", ["0s", "1h", "24h", "7d", "30d"]);
  const send = ({ keep_old }) => ask("POST", `clients/${segment(client.id)}/rotate`, { keep_old: keep_old || "0s" });
  const title = say("clients.rotate_title", client.id);
  const made = await dialog.form(title, say("clients.rotate_what"), [keep], say("clients.rotate"), send);
  if (made) await show(made, say("clients.is_rotated", client.id));
}

async function show(made, text) {
  const { secret } = made;
  delete made.secret;
  await dialog.secret(say("secret.title"), made.id, secret);
  announce(text);
  await load();
}

async function disable(client) {
  const sure = await dialog.confirm(say("clients.disable_title", client.id), say("clients.disable_what"), say("clients.disable"));
  if (sure) await change(client, { enabled: false }, say("clients.is_disabled", client.id));
}

async function remove(client) {
  const sure = await dialog.confirm(say("clients.remove_title", client.id), say("clients.remove_what"), say("clients.remove"));
  if (sure) await act(() => ask("DELETE", `clients/${segment(client.id)}`), say("clients.is_removed", client.id));
}

function change(client, changes, text) {
  return act(() => ask("PATCH", `clients/${segment(client.id)}`, changes), text);
}

async function act(work, text) {
  try {
    await work();
    announce(text);
    await load();
  } catch (caught) {
    problem = caught;
    draw();
  }
}
