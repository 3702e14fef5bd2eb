// What moves the answer: one feature at a time, all others held.
import { Problem, ask, askArray, pathOf } from "./api.js";
import { classesOf } from "./classes.js";
import { axis, path, scale } from "./chart.js";
import { html, shown, svg } from "./dom.js";
import { rangesOf, valueAt } from "./ranges.js";
import { nameOf } from "./rows.js";
import { answer, card, chosen, row } from "./state.js";

const POINTS = 25;
const FEWEST_POINTS = 5;
const MOST_NUMBERS = 200_000;
// Digits, sign, point and comma of a number as JSON, at most.
const BYTES = 24;
const STRONGEST = 8;
// Where no probability moves as much as this, the logits tell more.
const FLAT = 0.02;
// Drawn once the row rests.
const REST = 200;

const NO_RANGE = "There are no curves: the checkpoint does not say in which range features are.";

let limits = null;

export function start(root) {
  const about = html("p", { class: "quiet" });
  const places = html("div", { class: "curves" });
  const more = html("button", { type: "button", class: "button", hidden: true });
  const select = html("select", { id: "curve-class" });
  const label = html("label", { class: "cluster quiet" }, "Class", select);
  const title = html("h2", {}, "What moves the answer");
  root.className = "panel";
  root.append(html("div", { class: "cluster apart" }, title, label), about, places, more);

  let all = null;
  let most = STRONGEST;
  const draw = () => {
    const sorted = all ? curvesOf(all, select.value) : [];
    const ends = all && endsOf(sorted, all.output);
    places.replaceChildren(...sorted.slice(0, most).map((curve) => figure(curve, all, ends)));
    more.hidden = sorted.length <= most;
    more.textContent = `Show the other ${sorted.length - most}`;
  };
  select.addEventListener("change", draw);
  more.addEventListener("click", () => {
    most = Infinity;
    draw();
  });
  card.watch((now) => {
    if (!now) return;
    [all, most] = [null, STRONGEST];
    draw();
    fillClasses(select, label, now);
  });
  probeAtRest((probed, sentence) => {
    all = probed;
    about.textContent = sentence;
    draw();
  });
}

// Calls `show` with what the server said of the curves, or null, and a sentence.
function probeAtRest(show) {
  let asking = new AbortController();
  let timer;
  answer.watch((said) => {
    clearTimeout(timer);
    asking.abort();
    if (!said || !card.get()) return;
    asking = new AbortController();
    const { signal } = asking;
    timer = setTimeout(async () => {
      const [probed, sentence] = await probe(said, signal);
      if (!signal.aborted) show(probed, sentence);
    }, REST);
  });
}

// Asks for all curves at once.
async function probe(said, signal) {
  const [now, values] = [card.get(), row.get()];
  try {
    limits ??= await ask("limits", undefined, signal);
    const ranges = rangesOf(now);
    const plan = planOf(now.features, varied(ranges), limits);
    if (!plan.features.length)
      return [null, NO_RANGE];
    const inputs = plan.features.flatMap((i) =>
      grid(ranges[i], values[i], plan.points).map((value) => values.with(i, value)),
    );
    const path = `${pathOf(chosen.get())}/predict`;
    const probed = { now, values, said, plan, inputs, output: "probabilities" };
    probed.sent = await askArray(path, { inputs }, signal);
    if (curvesOf(probed, "").every(({ move }) => move < FLAT)) {
      probed.output = "logits";
      probed.sent = await askArray(`${path}?output=logits`, { inputs }, signal);
    }
    return [probed, explained(probed)];
  } catch (error) {
    if (signal.aborted) return [null, ""];
    if (!(error instanceof Problem)) throw error;
    return [null, `There are no curves: ${error.message}`];
  }
}

function explained({ plan, output }) {
  const some = plan.isAll ? "" : ` These are of the first ${plan.features.length} features.`;
  const what =
    output === "logits"
      ? " No feature by itself moves this probability, so the curves show the logit."
      : "";
  return (
    "Each curve moves one feature through its range and holds the others; " +
    `the strongest come first.${what}${some}`
  );
}

const varied = (ranges) =>
  ranges.flatMap((range, i) => (range && range.max > range.min ? [i] : []));

// How many points of which features the server's limits allow in one request.
function planOf(features, all, limits) {
  const most = Math.min(
    MOST_NUMBERS,
    limits.SIGMOID_MAX_ELEMENTS,
    limits.SIGMOID_MAX_BODY_BYTES / BYTES,
  );
  const rows = Math.min(Math.floor(most / features), limits.SIGMOID_MAX_ROWS);
  const fitting = Math.floor(rows / Math.max(all.length, 1));
  const points = Math.min(Math.max(fitting, FEWEST_POINTS), POINTS);
  const some = all.slice(0, Math.floor(rows / points));
  return { features: some, points, isAll: some.length === all.length };
}

function grid(range, value, points) {
  const [from, to] = [Math.min(range.min, value), Math.max(range.max, value)];
  return Array.from({ length: points }, (_, k) =>
    Number((from + (k / (points - 1)) * (to - from)).toPrecision(6)),
  );
}

// Per feature: its points, and by how much they move the probability of a class.
function curvesOf({ now, values, said, plan, inputs, output, sent }, choice) {
  const classes = classesOf(said, now);
  const width = classes.length;
  const at = choice === "" ? said.logits.indexOf(Math.max(...said.logits)) : Number(choice);
  const curves = plan.features.map((feature, k) => {
    const points = Array.from({ length: plan.points }, (_, j) => {
      const index = k * plan.points + j;
      return [inputs[index][feature], sent[index * width + at]];
    });
    const heights = points.map(([, height]) => height);
    const move = Math.max(...heights) - Math.min(...heights);
    const current = [values[feature], said[output][at]];
    return { feature, points, move, current, ...classes[at] };
  });
  return curves.sort((a, b) => b.move - a.move);
}

function fillClasses(select, label, now) {
  const count = now.architecture.sizes.at(-1);
  label.hidden = count === 1;
  const names = Array.from({ length: count }, (_, i) => now.classes?.[i] ?? String(i));
  select.replaceChildren(
    html("option", { value: "" }, "the most probable"),
    ...names.map((name, i) => html("option", { value: i }, name)),
  );
}

// What the heights of all curves are between.
function endsOf(curves, output) {
  if (output === "probabilities") return [0, 1];
  const heights = curves.flatMap(({ points }) => points.map(([, height]) => height));
  return [Math.floor(Math.min(...heights)), Math.ceil(Math.max(...heights))];
}

function figure({ feature, points, move, current, name, threshold }, { now, output }, ends) {
  const title = nameOf(now, feature);
  const [first, last] = [points[0], points.at(-1)];
  const go = () => document.getElementById(`feature-${feature}`)?.focus();
  const word = ([value, height]) => `${shown(height)} at ${shown(value)}`;
  const said =
    `${output === "logits" ? "Logit" : "Probability"} of ${name} by ${title}: ` +
    `from ${word(first)} to ${word(last)}; now ${word(current)}`;
  return html(
    "figure",
    { class: "curve-of" },
    html(
      "figcaption",
      {},
      html("button", { type: "button", class: "link name", title, onclick: go }, title),
      html("span", { class: "quiet number" }, `moves ${move.toFixed(2)}`),
    ),
    drawing(points, current, ends, limitOf(output, threshold, ends), said),
  );
}

// The line that decides; the largest logit wins without one.
function limitOf(output, threshold, [low, high]) {
  if (output === "logits") return { class: "grid", at: low < 0 && high > 0 ? 0 : high };
  return threshold === null ? { class: "grid", at: 0.5 } : { class: "limit", at: threshold };
}

function drawing(points, current, [low, high], limit, said) {
  const ends = [points[0][0], points.at(-1)[0]];
  const [x, y] = [scale(ends, [20, 254]), scale([low, high], [80, 6])];
  const level = (value, kind) =>
    svg("line", { class: kind, x1: 20, x2: 254, y1: y(value), y2: y(value) });
  const word = (value) => svg("text", { x: 14, y: y(value) + 4, "text-anchor": "end" }, value);
  return svg(
    "svg",
    { viewBox: "0 0 260 100", role: "img", "aria-label": said },
    level(high, "grid"),
    level(limit.at, limit.class),
    word(high),
    word(low),
    axis(ends, [20, 254], y(low)),
    svg("path", { class: "curve", d: path(points.map(([a, b]) => [x(a), y(b)])) }),
    svg("circle", { class: "point", cx: x(current[0]), cy: y(current[1]), r: 5 }),
  );
}
