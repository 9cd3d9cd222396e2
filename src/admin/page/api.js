// Asks the admin API. The token lives in this variable and nowhere else: not in an address, a cookie or a storage.

import { say } from "./words.js";

const PATIENCE = 15000;

let token = "";
let refused = () => {};

// What went wrong: `status` of the answer (0: there was none), and every fault where the API tells several.
export class Problem extends Error {
  constructor(status, message, faults = []) {
    super(message);
    this.status = status;
    this.faults = faults;
  }

  // In words, with what to do.
  get text() {
    const known = `problem.${this.status}`;
    const lead = say.has(known) ? say(known) : this.status >= 500 ? say("problem.500") : say("problem.other", this.status);
    return this.message ? `${lead} ${say("problem.said", this.message)}` : lead;
  }
}

// Uses that token from now on; `whenRefused` is told when it does not fit any more.
export function use(text, whenRefused) {
  token = bytes(text);
  refused = whenRefused;
}

export function forget() {
  token = "";
  refused = () => {};
}

// A header holds bytes; those of UTF-8 are what the gate compares with.
function bytes(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

// One segment of a path. A browser takes dots away before it asks, however they are written.
export function segment(text) {
  if (text === "." || text === "..") throw new Problem(0, say("problem.dots"));
  return encodeURIComponent(text);
}

// JSON of the API; anything but success is a `Problem`.
export async function ask(method, path, body) {
  const mine = token;
  const headers = { Authorization: `Bearer ${mine}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await send(`api/v1/${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const told = await answer.json().catch(() => ({}));
  // Who signed out meanwhile is told nothing any more.
  if (mine !== token) throw new Problem(401, "");
  if (answer.ok) return told;
  if (answer.status === 401) refused();
  throw new Problem(answer.status, told.error ?? "", told.faults ?? []);
}

// Which part is not ready, if any: this needs no token.
export async function health() {
  return (await send("readyz", {})).json();
}

// What is counted, as text for Prometheus.
export async function metrics() {
  return (await send("metrics", {})).text();
}

async function send(path, options) {
  const fixed = { cache: "no-store", credentials: "omit", redirect: "error", signal: AbortSignal.timeout(PATIENCE) };
  try {
    return await fetch(path, { ...options, ...fixed });
  } catch {
    throw new Problem(0, "");
  }
}
