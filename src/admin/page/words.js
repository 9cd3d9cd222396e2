// The page's words, in the language of the browser until another one is chosen.

import { en } from "./en.js";
import { zh } from "./zh.js";

const LANGUAGES = { en, zh };
const KEPT_AS = "ticketgate.language";

let language = chosen() ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");

function chosen() {
  try {
    const kept = localStorage.getItem(KEPT_AS);
    return kept !== null && Object.hasOwn(LANGUAGES, kept) ? kept : null;
  } catch {
    return null; // Storage may be switched off.
  }
}

// The words of that name, with `{0}`, `{1}`, … filled in.
export function say(name, ...values) {
  const words = LANGUAGES[language][name] ?? en[name] ?? name;
  return words.replace(/\{(\d)\}/g, (_, at) => values[at] ?? "");
}

say.has = (name) => Object.hasOwn(en, name);

export const current = () => language;

export function speak(other) {
  language = other;
  try {
    localStorage.setItem(KEPT_AS, other);
  } catch {
    // It holds until the page is closed, then.
  }
}

// Words that stand in the page from the beginning.
export function translate() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-say]")) element.textContent = say(element.dataset.say);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", say(element.dataset.label));
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  }
}

const number = (digits) => new Intl.NumberFormat(language, { maximumFractionDigits: digits });

export const count = (value) => number(0).format(value);

// A rate or a time: more digits the smaller it is.
export const fine = (value) => number(value >= 100 ? 0 : value >= 10 ? 1 : 2).format(value);

// A moment, given in seconds.
export function moment(seconds) {
  if (!seconds) return "–";
  const format = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
  return format.format(new Date(seconds * 1000));
}

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

// How far that moment is from now, in words.
export function distance(seconds) {
  const from = seconds - Date.now() / 1000;
  const [unit, size] = UNITS.find(([, size]) => Math.abs(from) >= size) ?? UNITS[3];
  return new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(Math.trunc(from / size), unit);
}
