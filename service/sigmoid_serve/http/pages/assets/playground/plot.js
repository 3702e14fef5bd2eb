// Small charts that fit any width: shapes stretch, strokes and words do not.
import { html, svg } from "./dom.js";

const round = (value) => Math.round(value * 100) / 100;

/** Numbers of the form 1, 2, 5 times a power of ten, about `count` from `min` to `max`. */
export function steps(min, max, count = 4) {
  const rough = (max - min) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((each) => each * power >= rough) ?? 10);
  const first = Math.ceil(min / step - 1e-9);
  const last = Math.floor(max / step + 1e-9);
  const tidy = (value) => Number(value.toPrecision(12));
  return Array.from({ length: last - first + 1 }, (_, i) => tidy((first + i) * step));
}

/** Powers of ten from `min` to `max`, at most about `count`. */
export function decades(min, max, count = 5) {
  const [first, last] = [Math.ceil(Math.log10(min) - 1e-9), Math.floor(Math.log10(max) + 1e-9)];
  const step = Math.max(1, Math.ceil((last - first) / count));
  const powers = [];
  for (let power = last; power >= first; power -= step) powers.unshift(10 ** power);
  return powers;
}

/** Place of a value on an axis, in percent of its length. */
export function placeOn({ min, max, isLog = false }, value) {
  const at = isLog ? Math.log10 : (number) => number;
  const part = (at(value) - at(min)) / (at(max) - at(min));
  return round(100 * Math.min(1, Math.max(0, part)));
}

// A gap stands where there is no value.
function pathOf(points, x, y) {
  let pen = "M";
  let path = "";
  for (const [at, value] of points) {
    if (value === null) pen = "M";
    else {
      path += `${pen}${placeOn(x, at)} ${round(100 - placeOn(y, value))}`;
      pen = "L";
    }
  }
  return path;
}

// A line of no length with round ends is a dot that does not stretch.
const dotsOf = (points, x, y) =>
  points
    .filter(([, value]) => value !== null)
    .map(([at, value]) => `M${placeOn(x, at)} ${round(100 - placeOn(y, value))}h0`)
    .join("");

function words(axis, side) {
  const shown = axis.shown ?? String;
  return axis.ticks.map((tick) => {
    const word = html("span", { class: `tick ${side}` }, shown(tick));
    word.style[side === "x" ? "left" : "bottom"] = `${placeOn(axis, tick)}%`;
    return word;
  });
}

function grid(x, y) {
  const across = y.ticks.map((tick) => `M0 ${round(100 - placeOn(y, tick))}H100`);
  return svg("path", { class: "grid", d: across.join("") + (x.isRuled ? rules(x) : "") });
}

const rules = (x) => x.ticks.map((tick) => `M${placeOn(x, tick)} 0V100`).join("");

function barOf({ from, to, value, kind }, x, y) {
  const left = placeOn(x, from);
  const height = placeOn(y, value);
  const width = round(placeOn(x, to) - left);
  return svg("rect", { class: `bar ${kind}`, x: left, y: round(100 - height), width, height });
}

/**
 * A chart: `lines` and `dots` are `{kind, points}`, `bars` are `{kind, from, to, value}`;
 * an axis is `{min, max, ticks, isLog, isRuled, shown}`. `label` says what is seen.
 */
export function plot({ label, x, y, lines = [], dots = [], bars = [] }) {
  const shapes = [
    grid(x, y),
    ...bars.map((bar) => barOf(bar, x, y)),
    ...lines.map(({ kind, points }) =>
      svg("path", { class: `line ${kind}`, d: pathOf(points, x, y) })),
    ...dots.map(({ kind, points }) =>
      svg("path", { class: `dots ${kind}`, d: dotsOf(points, x, y) })),
  ];
  return html(
    "div",
    { class: "plot", role: "img", "aria-label": label },
    svg(
      "svg",
      { viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" },
      ...shapes,
    ),
    ...words(x, "x"),
    ...words(y, "y"),
  );
}

/** Names of lines and dots, each with a sample; `names` are `[kind, name]`. */
export const legend = (names) =>
  html(
    "p",
    { class: "legend" },
    ...names.map(([kind, name]) => html("span", {}, html("i", { class: `sample ${kind}` }), name)),
  );
