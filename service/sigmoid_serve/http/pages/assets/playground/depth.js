// What depth does to the gradient of the chosen model.
import { ask } from "./api.js";
import { choose } from "./catalog.js";
import { html } from "./dom.js";
import { facts, few } from "./gradients.js";
import { decades, legend, placeOn, plot } from "./plot.js";
import { card, models } from "./state.js";
import { whileShown } from "./visible.js";

const DEEP = 3;
const MOST_LAYERS = 20;

// More models than these are not asked how deep they are.
const MOST_ASKED = 20;

const BARS = [
  ["one", "derivative", "of the function, mean over rows and units"],
  ["two", "product", "of the derivatives from here to the last hidden layer"],
  ["three", "gradient", "of the logits that arrives here, weights included"],
];

/** Fills the Sigmoid tab's lower part. */
export function start(root) {
  const content = html("div", { class: "depth" });
  const offer = html("p", { class: "cluster" });
  root.classList.add("panel");
  root.append(
    html("h2", {}, "Why depth kills the gradient"),
    html(
      "p",
      { class: "quiet" },
      "What reaches the first layers of the chosen model, from its checkpoint.",
    ),
    offer,
    content,
  );
  whileShown(root, () => card.watch((said) => {
    if (!said) return;
    content.replaceChildren(...story(said));
    offerDeeper(offer, said);
  }));
}

const story = (said) => [
  html("div", { class: "facts" }, ...facts(said).map((sentence) => html("p", {}, sentence))),
  ...(said.depth?.length ? [layersTable(said), explorer(said)] : []),
  ...(said.training ? [normsTable(said.training)] : []),
];

const hiddenLayers = ({ layers }) => layers.filter(({ activation }) => activation).length;

async function offerDeeper(offer, said) {
  offer.replaceChildren();
  if (hiddenLayers(said) >= DEEP) return;
  const others = models.get()?.models.filter(({ name }) => name !== said.name) ?? [];
  const asked = others.slice(0, MOST_ASKED).map(({ name }) =>
    ask(`models/${encodeURIComponent(name)}`).catch(() => null));
  const deeper = (await Promise.all(asked)).filter((each) => each && hiddenLayers(each) >= DEEP);
  if (card.get() !== said || !deeper.length) return;
  const [{ name, version }] = deeper.sort((a, b) => hiddenLayers(b) - hiddenLayers(a));
  const onclick = () => choose({ name, version });
  offer.replaceChildren(
    html("button", { class: "button", type: "button", onclick }, `Show ${name}`),
    html("span", { class: "quiet" }, `It has ${hiddenLayers(deeper[0])} hidden layers.`),
  );
}

function axisOf(values) {
  const positive = values.filter((value) => value > 0);
  const exponents = positive.map(Math.log10);
  const min = 10 ** Math.floor(Math.min(-1, ...exponents) - 1e-9);
  const max = 10 ** Math.ceil(Math.max(0, ...exponents) - 1e-9);
  const axis = { min, max, isLog: true, ticks: decades(min, max, 4) };
  axis.shown = (tick) => (tick >= 1e-3 && tick < 1e4 ? String(tick) : tick.toExponential(0));
  return axis;
}

function layersTable({ depth, layers }) {
  const axis = axisOf(depth.flatMap((each) => BARS.map(([, name]) => each[name])));
  const bodies = depth.map((each, i) => {
    const title = `Layer ${i + 1}, ${layers[i].activation}`;
    const scope = { scope: "rowgroup", rowspan: BARS.length };
    const rows = BARS.map(([kind, name], j) => html(
      "tr",
      {},
      j === 0 ? html("th", scope, title) : null,
      html("td", {}, html("span", { class: "unseen" }, name)),
      track(axis, kind, each[name]),
      html("td", { class: "number" }, few(each[name])),
    ));
    return html("tbody", {}, ...rows);
  });
  return html(
    "div",
    {},
    html("table", { class: "layers" }, ...bodies, html("tfoot", {}, scale(axis))),
    legend(BARS.map(([kind, name, text]) => [kind, `${name} ${text}`])),
  );
}

function track(axis, kind, value) {
  const bar = html("div", { class: `length ${kind}` });
  bar.style.width = value > 0 ? `max(2px, ${placeOn(axis, value)}%)` : "0";
  return html("td", { class: "lane" }, bar);
}

// The ticks of the logarithmic axis, below the bars.
function scale(axis) {
  const words = axis.ticks.map((tick) => {
    const word = html("span", { class: "tick x" }, axis.shown(tick));
    word.style.left = `${placeOn(axis, tick)}%`;
    return word;
  });
  return html("tr", { "aria-hidden": "true" }, html("td", { colspan: 2 }),
    html("td", { class: "lane" }, html("div", { class: "ticks" }, ...words)), html("td"));
}

// What is left after k layers, counted from the logits: at best, on average, and here.
function explorer({ depth, name }) {
  const mean = depth.reduce((sum, { derivative }) => sum + derivative, 0) / depth.length;
  const fromTheEnd = [...depth].reverse();
  const last = fromTheEnd[0].gradient;
  const id = "layers";
  const range = { min: 1, max: MOST_LAYERS, value: depth.length };
  const slider = html("input", { type: "range", id, ...range });
  const output = html("output", { for: id });
  const place = html("div");
  const show = () => {
    const count = Number(slider.value);
    const [best, usual] = [0.25 ** count, mean ** count];
    output.replaceChildren(
      `${count} ${count === 1 ? "layer" : "layers"}: at best 0.25`,
      html("sup", {}, String(count)),
      ` = ${few(best)}; with the mean derivative of ${name}, ${few(mean)}`,
      html("sup", {}, String(count)),
      ` = ${few(usual)}.`,
    );
    place.replaceChildren(chartOf({ count, mean, fromTheEnd, last, name }));
  };
  slider.addEventListener("input", show);
  show();
  return html(
    "div",
    { class: "explorer" },
    html("h3", {}, "What is left of the gradient after so many layers"),
    html("p", { class: "field" }, html("label", { for: id }, "Layers"), slider),
    output,
    place,
    legend([["two", "sigmoid at best, 0.25ⁿ"], ["one", "mean derivative of the model, to the n"],
      ["three", "gradient in the model, as a part of the last one"]]),
  );
}

function chartOf({ count, mean, fromTheEnd, last, name }) {
  const powers = Array.from({ length: MOST_LAYERS }, (_, i) => i + 1);
  const own = last > 0 ? fromTheEnd.map(({ gradient }, i) => [i + 1, gradient / last]) : [];
  const real = own.slice(0, MOST_LAYERS).filter(([, value]) => value > 0);
  const y = axisOf([0.25 ** MOST_LAYERS, mean ** MOST_LAYERS, ...real.map(([, value]) => value)]);
  const line = (kind, base) => ({ kind, points: powers.map((power) => [power, base ** power]) });
  const lines = mean > 0 ? [line("one", mean)] : [];
  return plot({
    label: `What is left after 1 to ${MOST_LAYERS} layers, on a logarithmic scale; in ${name}: `
      + `${real.map(([layers, value]) => `${layers}: ${few(value)}`).join(", ") || "nothing"}.`,
    x: { min: 1, max: MOST_LAYERS, ticks: [1, 5, 10, 15, 20] },
    y,
    lines: [line("two", 0.25), ...lines, { kind: "three", points: real }],
    dots: [
      { kind: "three", points: real },
      { kind: "two", points: [[count, 0.25 ** count]] },
      { kind: "one", points: mean > 0 ? [[count, mean ** count]] : [] },
    ],
  });
}

function normsTable({ gradient_norms_initial: initial, gradient_norms_final: final }) {
  const rows = initial.map((each, i) => html(
    "tr",
    {},
    html("th", { scope: "row" }, `Layer ${i + 1}`),
    ...[each, final[i]].map((norm) => html("td", { class: "number" }, few(norm))),
  ));
  const names = ["", "before the first step", "at the end"];
  return html(
    "div",
    {},
    html("h3", {}, "Gradient norms of the weights in training"),
    html(
      "table",
      { class: "table norms" },
      html("thead", {}, html("tr", {}, ...names.map((name) =>
        html(name ? "th" : "td", name ? { scope: "col", class: "number" } : {}, name)))),
      html("tbody", {}, ...rows),
    ),
  );
}
