// Figures: read from the text that Prometheus reads, and compared over time.

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:\\.|[^"\\])*)"/g;
const REQUESTS = "ticketgate_requests_total";

// How long looks are kept, in milliseconds.
export const KEPT = 5 * 60 * 1000;

export function parse(text) {
  const samples = [];
  for (const line of text.split("\n")) {
    const found = SAMPLE.exec(line);
    if (found) samples.push({ name: found[1], labels: labels(found[2] ?? ""), value: Number(found[3]) });
  }
  return samples;
}

function labels(text) {
  const found = new Map();
  for (const [, name, value] of text.matchAll(LABEL)) {
    found.set(name, value.replace(/\\(.)/g, (_, escaped) => (escaped === "n" ? "\n" : escaped)));
  }
  return found;
}

// One look at the gate: `at` in milliseconds, `outcomes` and `reasons` counted since its start.
export function look(text, at) {
  const samples = parse(text);
  const value = (name) => samples.find((sample) => sample.name === name)?.value ?? 0;
  const outcomes = { forwarded: 0, refused: 0, failed: 0, observed: 0 };
  const reasons = new Map();
  for (const { name, labels, value } of samples) {
    if (name !== REQUESTS) continue;
    const outcome = labels.get("outcome");
    outcomes[outcome] = (outcomes[outcome] ?? 0) + value;
    if (labels.get("reason")) reasons.set(JSON.stringify([labels.get("rule"), labels.get("reason"), outcome]), value);
  }
  const build = samples.find((sample) => sample.name === "ticketgate_build_info");
  return {
    at,
    outcomes,
    reasons,
    started: value("process_start_time_seconds"),
    version: build?.labels.get("version") ?? "",
    took: [value("ticketgate_request_duration_seconds_sum"), value("ticketgate_request_duration_seconds_count")],
    upstream: [value("ticketgate_upstream_duration_seconds_sum"), value("ticketgate_upstream_duration_seconds_count")],
    connections: [value("ticketgate_connections"), value("ticketgate_connections_limit")],
    websockets: value("ticketgate_websockets"),
    storeErrors: value("ticketgate_store_errors_total"),
    tokens: value("ticketgate_admin_tokens_refused_total"),
    configTaken: value("ticketgate_config_reload_success") === 1,
    configAt: value("ticketgate_config_taken_up_timestamp_seconds"),
  };
}

// The looks of the last minutes, oldest first.
export class History {
  looks = [];

  add(look) {
    // A gate that was started anew counts from nothing.
    if (this.last && (look.started !== this.last.started || look.at <= this.last.at)) this.looks = [];
    this.looks.push(look);
    // Nobody looks while the page is hidden, so the last two may lie further apart.
    while (this.looks.length > 2 && look.at - this.looks[0].at > KEPT) this.looks.shift();
  }

  get last() {
    return this.looks.at(-1);
  }

  // Requests a second by outcome, over the latest `seconds`.
  rates(seconds) {
    const last = this.last;
    const first = this.looks.find((look) => last.at - look.at <= seconds * 1000) ?? last;
    const from = first === last ? this.looks.at(-2) ?? last : first;
    return rate(from, last);
  }

  // The same between each two looks, with the time of the later one.
  steps() {
    return this.looks.slice(1).map((look, before) => ({ at: look.at, ...rate(this.looks[before], look) }));
  }

  // What was refused in the time kept: the most frequent first.
  refused() {
    const [first, last] = [this.looks[0], this.last];
    const rows = [...last.reasons].map(([key, total]) => {
      const [rule, reason, outcome] = JSON.parse(key);
      return { rule, reason, outcome, total, lately: total - (first.reasons.get(key) ?? 0) };
    });
    return rows.sort((one, other) => other.lately - one.lately || other.total - one.total);
  }

  // Mean of a pair of sum and count over the time kept, in milliseconds; null where nothing came.
  mean(pair) {
    const [first, last] = [this.looks[0], this.last];
    const count = last[pair][1] - first[pair][1];
    return count > 0 ? (1000 * (last[pair][0] - first[pair][0])) / count : null;
  }
}

function rate(from, to) {
  const seconds = (to.at - from.at) / 1000;
  const each = ([outcome, count]) => [outcome, seconds > 0 ? (count - (from.outcomes[outcome] ?? 0)) / seconds : 0];
  return Object.fromEntries(Object.entries(to.outcomes).map(each));
}
