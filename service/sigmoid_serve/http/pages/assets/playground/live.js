// What the server measures of itself, over the last minute.
import { askText, key } from "./api.js";
import { html, shown } from "./dom.js";
import { loadButton } from "./load.js";
import { buckets, growth, parse, quantile, together, total } from "./metrics.js";
import { decades, legend, plot, steps } from "./plot.js";
import { whileShown } from "./visible.js";

const PERIOD_MS = 1000;
const MINUTE_S = 60;
const LONGEST_GAP_S = 5;
const UNAUTHORIZED = 401;
const KEYLESS = "The server shows its metrics to who has a key: give it above.";
const CLASSES = [
  ["ok", "2", "2xx answered"],
  ["two", "4", "4xx refused"],
  ["bad", "5", "5xx failed"],
];

// This page's own questions are no load.
const isCounted = ({ route }) => route !== "/metrics";

/** Fills the Live tab. */
export function start(root) {
  const problem = html("p", { class: "wrong", role: "alert" });
  const panels = html("div", { class: "live-panels" });
  root.append(
    html(
      "div",
      { class: "panel" },
      html("h2", {}, "Live"),
      html(
        "p",
        { class: "quiet" },
        "What the server counts in /metrics, asked each second while you look; the charts hold ",
        "the last minute. Requests for /metrics itself are left out.",
      ),
      loadButton(),
      problem,
    ),
    panels,
  );
  const history = [];
  whileShown(root, () => polled(async () => {
    const error = await measure(history);
    const isKeyless = error?.status === UNAUTHORIZED;
    problem.textContent = isKeyless ? KEYLESS : (error?.message ?? "");
    if (history.length) panels.replaceChildren(...PANELS.map((each) => panel(each, history)));
    return !isKeyless;
  }));
}

// Each second, until it is over or a key is missing; again with a new key.
function polled(work) {
  let timer = 0;
  let run = 0;
  const again = async (own) => {
    const goesOn = await work();
    if (goesOn && own === run) timer = setTimeout(again, PERIOD_MS, own);
  };
  const begin = () => {
    clearTimeout(timer);
    again((run += 1));
  };
  const forget = key.watch(begin);
  return () => {
    forget();
    clearTimeout(timer);
    run += 1;
  };
}

async function measure(history) {
  try {
    const metrics = parse(await askText("metrics"));
    const before = history.at(-1);
    history.push(momentOf(metrics, before));
    // Only the newest is compared with what comes; a minute of all of them is large.
    if (before) before.metrics = null;
  } catch (error) {
    return error;
  }
  while (history.at(-1).at - history[0].at > MINUTE_S) history.shift();
  return null;
}

function momentOf(metrics, before) {
  const at = performance.now() / 1000;
  const now = [...metrics.values()];
  // Nobody looked in between: what happened then belongs to no second of this minute.
  const isNext = before && at - before.at < LONGEST_GAP_S;
  const grown = isNext ? growth(before.metrics, metrics) : [];
  const seconds = isNext ? at - before.at : null;
  const latency = buckets(grown, "sigmoid_request_duration_seconds", isCounted);
  const ofClass = (digit) => (labels) => isCounted(labels) && labels.code[0] === digit;
  return {
    at,
    metrics,
    seconds,
    requests: CLASSES.map(([, digit]) => total(grown, "sigmoid_requests_total", ofClass(digit))),
    latency,
    quantiles: [quantile(latency, 0.5), quantile(latency, 0.99)],
    batches: buckets(grown, "sigmoid_batch_rows"),
    batchRows: total(grown, "sigmoid_batch_rows_sum"),
    queue: total(now, "sigmoid_inflight_elements"),
    limit: total(now, "sigmoid_inflight_limit_elements"),
    workers: total(now, "sigmoid_workers"),
    rejected: total(grown, "sigmoid_requests_rejected_total"),
    timedOut: total(grown, "sigmoid_requests_timed_out_total"),
  };
}

const sumOf = (values) => values.reduce((sum, each) => sum + each, 0);
const count = (value) => value.toLocaleString("en");
const rateOf = (moment, value) => (moment.seconds ? value / moment.seconds : null);
const counts = (max) => steps(0, max, 3).filter(Number.isInteger);
const top = (values, least) => 1.1 * Math.max(least, ...values.filter((each) => each !== null));

function duration(seconds) {
  if (seconds === null) return "–";
  const units = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"]];
  const [unit, name] = units.find(([each]) => seconds >= each) ?? units.at(-1);
  return `${Number((seconds / unit).toPrecision(3))} ${name}`;
}

const PANELS = [
  { id: "live-requests", title: "Requests per second", read: requests },
  { id: "live-latency", title: "Latency", read: latency },
  { id: "live-batches", title: "Rows per batch", read: batches },
  { id: "live-queue", title: "Elements in flight", read: queue },
  { id: "live-workers", title: "Worker processes", read: workers },
  { id: "live-rejected", title: "Rejected", read: rejected },
];

function panel({ id, title, read }, history) {
  const { value, text, charts } = read(history);
  return html(
    "section",
    { class: "panel", id, "aria-label": title },
    html("h3", {}, title),
    html("p", { class: "figure" }, value),
    ...charts,
    html("p", { class: "quiet" }, text),
  );
}

function minute(history) {
  const now = history.at(-1).at;
  const axis = { min: -MINUTE_S, max: 0, ticks: [-60, -40, -20, 0] };
  axis.shown = (tick) => (tick ? `${-tick} s ago` : "now");
  return { axis, along: (read) => history.map((moment) => [moment.at - now, read(moment)]) };
}

function requests(history) {
  const { axis, along } = minute(history);
  const lines = CLASSES.map(([kind, , name], i) =>
    ({ kind, name, points: along((moment) => rateOf(moment, moment.requests[i])) }));
  const last = history.at(-1);
  const max = top(lines.flatMap(({ points }) => points.map(([, rate]) => rate)), 1);
  const sent = count(sumOf(history.flatMap((moment) => moment.requests)));
  const value = shown(Number((rateOf(last, sumOf(last.requests)) ?? 0).toFixed(1)));
  const chart = plot({
    label: `Requests per second of the last minute: now ${value}, ${sent} in all.`,
    x: axis,
    y: { min: 0, max, ticks: counts(max) },
    lines,
  });
  const text = `Answered in the last second; ${sent} in the last minute, by class of the status.`;
  const names = lines.map(({ kind, name }) => [kind, name]);
  return { value, text, charts: [chart, legend(names)] };
}

function latency(history) {
  const { axis, along } = minute(history);
  const all = together(history.map((moment) => moment.latency));
  const [half, most] = [quantile(all, 0.5), quantile(all, 0.99)];
  const lines = ["one", "two"].map((kind, i) =>
    ({ kind, points: along(({ quantiles }) => quantiles[i]) }));
  const values = lines.flatMap(({ points }) => points.map(([, value]) => value)).filter(Boolean);
  const min = Math.min(1e-4, ...values);
  const max = Math.max(1e-2, ...values);
  const chart = plot({
    label: `Latency of the last minute: p50 ${duration(half)}, p99 ${duration(most)}.`,
    x: axis,
    y: { min, max, isLog: true, ticks: decades(min, max, 4), shown: duration },
    lines,
    dots: lines,
  });
  const text = "p50 / p99 of the last minute: half, and 99 %, of the requests were answered "
    + "sooner. Measured inside the server, read from a histogram's buckets.";
  const value = `${duration(half)} / ${duration(most)}`;
  return { value, text, charts: [chart, legend([["one", "p50"], ["two", "p99"]])] };
}

function batches(history) {
  const all = together(history.map((moment) => moment.batches));
  const number = sumOf(all.map(([, times]) => times));
  const last = Math.max(4, all.findLastIndex(([, times]) => times));
  const seen = all.slice(0, last + 1);
  const max = top(seen.map(([, times]) => times), 1);
  const name = (i) => (seen[i]?.[0] === Infinity ? "more" : `≤ ${seen[i]?.[0] ?? ""}`);
  const every = Math.ceil(seen.length / 7);
  const ticks = seen.map((_, i) => i).filter((i) => i % every === 0);
  const full = seen.filter(([, times]) => times);
  const spoken = full.map(([bound, times]) => `${times} of at most ${bound}`);
  const chart = plot({
    label: `Batches of the last minute by their rows: ${spoken.join(", ") || "none"}.`,
    x: { min: -0.5, max: last + 0.5, ticks, shown: name },
    y: { min: 0, max, ticks: counts(max) },
    bars: seen.map(([, value], i) => ({ kind: "one", from: i - 0.4, to: i + 0.4, value })),
  });
  const text = `Mean of ${count(number)} batches in the last minute. Rows that wait at the same `
    + "time are computed together.";
  const mean = sumOf(history.map((moment) => moment.batchRows)) / number;
  return { value: number ? shown(Number(mean.toFixed(2))) : "–", text, charts: [chart] };
}

// One line over the minute.
function course(history, name, kind, read) {
  const { axis, along } = minute(history);
  const points = along(read);
  const max = top(points.map(([, value]) => value), 1);
  const y = { min: 0, max, ticks: counts(max) };
  const label = `${name} in the last minute: now ${count(points.at(-1)[1])}.`;
  return plot({ label, x: axis, y, lines: [{ kind, points }] });
}

function queue(history) {
  const { queue: now, limit } = history.at(-1);
  const text = "Numbers of all requests that are read, wait or are computed. Beyond the limit, "
    + `${count(limit)}, requests are rejected.`;
  const chart = course(history, "Elements in flight", "one", (moment) => moment.queue);
  return { value: count(now), text, charts: [chart] };
}

function workers(history) {
  const text = "Processes that answer, each with all models.";
  const chart = course(history, "Worker processes", "three", (moment) => moment.workers);
  return { value: count(history.at(-1).workers), text, charts: [chart] };
}

function rejected(history) {
  const sum = (name) => sumOf(history.map((moment) => moment[name]));
  const text = "Requests of the last minute that were refused because of overload; "
    + `${count(sum("timedOut"))} more waited until their time was over.`;
  const chart = course(history, "Rejected requests each second", "bad", (each) => each.rejected);
  return { value: count(sum("rejected")), text, charts: [chart] };
}
