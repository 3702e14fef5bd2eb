// The form: a row of the features of the chosen model.
import { html } from "./dom.js";
import { feature } from "./feature.js";
import { startIntake } from "./intake.js";
import { featureAt } from "./pointer.js";
import { randomRow, rangesOf } from "./ranges.js";
import { nameOf } from "./rows.js";
import { card, problem, row } from "./state.js";

const MOST_AT_ONCE = 200;
// More than these scroll by themselves: what comes after them stays near.
const MANY = 40;

export function start(root) {
  const intake = startIntake();
  const random = html("button", { type: "button", class: "button" }, "Random row");
  const about = html("p", { class: "quiet" });
  const list = startFields();
  const title = html("h2", {}, "Features");
  const buttons = html("div", { class: "cluster" }, random, intake.opener);
  root.className = "panel";
  root.append(html("div", { class: "cluster apart" }, title, buttons), about, list, intake.dialog);
  random.addEventListener("click", () => row.set(randomRow(card.get(), row.get())));
  card.watch((now) => {
    for (const button of [random, intake.opener]) button.disabled = !now;
    if (!now) return;
    random.hidden = !now.examples?.length && !now.quantiles;
    random.title = now.examples?.length
      ? "One of the real rows that the checkpoint keeps"
      : "Each feature drawn by itself from the values of the training rows";
    about.textContent = described(now);
  });
}

function startFields() {
  const list = html("div", { class: "features" });
  const more = html("button", { type: "button", class: "button", hidden: true });
  let fields = [];
  let ranges = [];
  const append = (count) => {
    const now = card.get();
    for (let i = fields.length; i < Math.min(count, now.features); i += 1)
      fields.push(feature(i, nameOf(now, i), ranges[i], (value) => change(i, value)));
    list.append(...fields.slice(list.childElementCount).map(({ element }) => element));
    show(row.get());
    more.hidden = fields.length >= now.features;
    more.textContent = `Show the other ${now.features - fields.length} features`;
  };
  const show = (values) => fields.forEach((field, i) => field.show(values[i]));
  more.addEventListener("click", () => append(card.get().features));
  card.watch((now) => {
    // What is shown stays until there is something else to show.
    if (!now) return;
    fields = [];
    list.replaceChildren();
    ranges = rangesOf(now);
    list.classList.toggle("many", now.features > MANY);
    append(MOST_AT_ONCE);
  });
  row.watch((values) => card.get() && show(values));
  problem.watch((now) => {
    const at = now && card.get() ? featureAt(now.pointer, card.get()) : -1;
    if (at >= fields.length) append(card.get().features);
    fields.forEach(({ fail }, i) => fail(i === at ? now.message : ""));
  });
  return html("div", {}, list, more);
}

function change(index, value) {
  const next = [...row.get()];
  next[index] = value;
  row.set(next);
}

function described({ features, quantiles, scaler }) {
  const count = features === 1 ? "one feature" : `${features} features`;
  if (quantiles)
    return `The model reads ${count}. The shapes show the rows that it was trained on.`;
  if (scaler) return `The model reads ${count}. Sliders reach three deviations from the mean.`;
  return `The model reads ${count}. Its checkpoint does not say in which range they are.`;
}
