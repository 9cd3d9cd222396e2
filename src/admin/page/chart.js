// Two lines over the last minutes, drawn as SVG.

import { draw, make } from "./dom.js";
import { KEPT } from "./figures.js";
import { fine, say } from "./words.js";

const [WIDTH, HEIGHT] = [600, 120];

// Values with their times; `text` says for who cannot see it what they show.
export function chart(passed, stopped, text) {
  const top = round(Math.max(1, ...[...passed, ...stopped].map(([, value]) => value)));
  const picture = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": text },
    [0.25, 0.5, 0.75].map((at) => draw("line", { class: "grid", x1: 0, x2: WIDTH, y1: at * HEIGHT, y2: at * HEIGHT })),
    area("passed", passed, top), line("passed", passed, top), area("stopped", stopped, top), line("stopped", stopped, top));
  return make("div", { class: "chart" },
    make("span", { class: "top", "aria-hidden": "true" }, `${fine(top)} ${say("unit.per_second")}`),
    picture,
    make("div", { class: "axis", "aria-hidden": "true" }, make("span", {}, say("chart.from")), make("span", {}, say("chart.to"))));
}

// The next of 1, 2, 5, 10, 20, 50, …
function round(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((step) => step * power >= value) * power;
}

function points(values, top) {
  const now = values.at(-1)?.[0];
  const across = (at) => Math.max(0, WIDTH * (1 - (now - at) / KEPT));
  const down = (value) => HEIGHT - 1 - (value / top) * (HEIGHT - 4);
  return values.map(([at, value]) => `${across(at).toFixed(1)},${down(value).toFixed(1)}`);
}

function line(kind, values, top) {
  return draw("polyline", { class: `line ${kind}`, points: points(values, top).join(" ") });
}

function area(kind, values, top) {
  const above = points(values, top);
  if (above.length === 0) return null;
  const from = above[0].split(",")[0];
  return draw("polygon", { class: `area ${kind}`, points: `${from},${HEIGHT} ${above.join(" ")} ${WIDTH},${HEIGHT}` });
}
