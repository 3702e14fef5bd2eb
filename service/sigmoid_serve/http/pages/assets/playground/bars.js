// The prediction: its label, and a bar for each probability.
import { classesOf, namesOf } from "./classes.js";
import { html, shown } from "./dom.js";
import { featureAt } from "./pointer.js";
import { answer, card, problem, timing } from "./state.js";

const MOST = 100;
const LAST = "This was the answer before: the row as it is now has none.";
const LONGEST_NAME = 18;
// A reader of the screen hears the result once the slider rests.
const REST = 500;

export function start(root) {
  const parts = makeParts();
  const summary = document.getElementById("summary");
  root.className = "panel";
  root.append(html("h2", {}, "Prediction"), ...Object.values(parts));
  summary.addEventListener("click", () => root.scrollIntoView({ block: "center" }));

  let bars = [];
  let timer;
  card.watch((now) => {
    if (!now) return;
    bars = [];
    clear(parts, now);
  });
  answer.watch((said) => {
    root.classList.toggle("stale", !said);
    if (!said || !card.get()) return;
    const classes = classesOf(said, card.get());
    if (!bars.length) bars = layOut(parts, classes, root);
    bars.forEach(({ show }, i) => show(classes[i]));
    parts.verdict.replaceChildren(...worded(said, classes, (name) => `probability of ${name}: `));
    parts.meta.textContent = answered(said);
    const brief = (name) => (name === String(said.labels) ? "" : `${name}: `);
    summary.replaceChildren(...worded(said, classes, brief));
    summary.hidden = false;
    clearTimeout(timer);
    timer = setTimeout(() => (parts.spoken.textContent = parts.verdict.textContent), REST);
  });
  problem.watch((now) => {
    const isAtField = now && card.get() && featureAt(now.pointer, card.get()) >= 0;
    parts.fault.hidden = !now || isAtField;
    parts.fault.textContent = parts.fault.hidden ? "" : now.message;
    if (now && bars.length) parts.meta.textContent = LAST;
  });
}

const makeParts = () => ({
  fault: html("p", { id: "problem", class: "problem", role: "alert", hidden: true }),
  verdict: html("p", { class: "verdict" }),
  table: html("table", { class: "bars" }),
  ends: html("div", { class: "ends", hidden: true }),
  about: html("p", { class: "quiet" }),
  meta: html("p", { class: "quiet" }),
  spoken: html("p", { class: "unseen", "aria-live": "polite" }),
});

function clear({ table, verdict, ends, about, meta }, now) {
  for (const part of [table, verdict, meta]) part.replaceChildren();
  ends.hidden = true;
  about.textContent = explained(now);
}

function layOut({ table, ends }, classes, root) {
  const bars = classes.slice(0, MOST).map(barOf);
  table.replaceChildren(html("tbody", {}, ...bars.map(({ element }) => element)));
  const longest = Math.max(...classes.map(({ name }) => name.length));
  root.style.setProperty("--names", `${Math.min(longest, LONGEST_NAME) + 2}ch`);
  showEnds(ends, card.get());
  return bars;
}

function barOf({ name, threshold }) {
  const fill = html("div", { class: "fill" });
  const number = html("td", { class: "number" });
  const track = html("div", { class: "track" }, fill);
  if (threshold !== null) {
    const limit = html("div", { class: "threshold", title: `threshold ${threshold}` });
    limit.style.left = `${100 * threshold}%`;
    track.append(limit);
  }
  const head = html("th", { scope: "row", title: name }, name);
  const element = html("tr", {}, head, html("td", { class: "bar" }, track), number);
  const show = ({ probability, isChosen }) => {
    element.dataset.probability = probability;
    element.classList.toggle("chosen", isChosen);
    fill.style.width = `${100 * probability}%`;
    number.textContent = shown(probability);
  };
  return { element, show };
}

function showEnds(ends, { task, classes }) {
  ends.hidden = task !== "binary";
  const [negative, positive] = classes ?? ["0", "1"];
  const word = (text) => html("span", { class: "quiet" }, text);
  ends.replaceChildren(word(`← ${negative}`), word(`${positive} →`));
}

function worded(said, classes, whose) {
  if (Array.isArray(said.labels))
    return [html("strong", {}, namesOf(classes) || "none of the labels")];
  // A binary model that says no has no bar of that name.
  const { name, probability } = classes.find(({ isChosen }) => isChosen) ?? classes[0];
  const number = html("span", {}, whose(name) + shown(probability));
  return [html("strong", {}, String(said.labels)), " ", number];
}

function explained({ task, link, classes, thresholds }) {
  if (task === "binary") {
    const name = classes?.[1] ?? "1";
    const threshold = thresholds?.[0] ?? 0.5;
    return `The label is ${name} from a probability of ${threshold} on, the line in the bar.`;
  }
  if (task === "multilabel")
    return "Each label is given from its own threshold on, the line in its bar.";
  if (link === "softmax") return "The most probable class is the label. They add up to 1.";
  return (
    "The most probable class is the label. Each probability is a sigmoid of its own, " +
    "so they need not add up to 1."
  );
}

function answered({ model, version, shape }) {
  const { took, served } = timing.get();
  return (
    `${model}, version ${version} · logits of shape (${shape.join(", ")}) · ` +
    `${took.toFixed(1)} ms, of them ${served.toFixed(2)} in the server`
  );
}
