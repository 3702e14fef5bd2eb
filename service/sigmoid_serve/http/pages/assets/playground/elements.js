// The sigmoid of a tensor that the reader types: the curve, its derivative, the values.
import { ask, key } from "./api.js";
import { html, shown } from "./dom.js";
import { legend, plot, steps } from "./plot.js";
import { complaint, elementsOf, indexOf, jsonOf } from "./tensor.js";
import { whileShown } from "./visible.js";

const DTYPES = ["float16", "bfloat16", "float32", "float64"];
const START = "[-4, -1, 0, 1, 4]";
const MOST_ROWS = 200;
const GRID_POINTS = 161;
const PATIENCE_MS = 60;

// Beyond these the curve is flat, and a wider picture would show a step.
const [LEAST_REACH, MOST_REACH] = [6, 16];

/** Fills the Sigmoid tab's upper part. */
export function start(root) {
  const tensor = html("textarea", {
    id: "tensor",
    rows: 4,
    spellcheck: "false",
    "aria-describedby": "tensor-help tensor-error",
  });
  tensor.value = START;
  const dtype = html("select", { id: "dtype" }, ...DTYPES.map((name) => html("option", {}, name)));
  dtype.value = "float32";
  const error = html("p", { id: "tensor-error", class: "wrong", role: "alert" });
  const output = html("div", { id: "tensor-output" });
  root.classList.add("panel");
  root.append(...heading(), form(tensor, dtype, error), output);
  followed(root, [tensor, dtype], async (signal) => {
    const json = jsonOf(tensor.value);
    const { problem, values } = await computed(json, dtype.value, signal);
    tensor.setAttribute("aria-invalid", String(Boolean(problem)));
    error.textContent = problem ? complaint(problem, json) : "";
    if (values) output.replaceChildren(...picture(values), ...table(values));
    output.classList.toggle("stale", Boolean(problem));
  });
}

const heading = () => [
  html("h2", {}, "The sigmoid of a tensor"),
  html(
    "p",
    { class: "quiet" },
    "σ(x) = 1 / (1 + e⁻ˣ), element by element; the output has the shape of the input. Its ",
    "derivative σ′(x) = σ(x)·σ(−x) is at most 1/4, at x = 0.",
  ),
];

const form = (tensor, dtype, error) =>
  html(
    "div",
    { class: "tensor-form" },
    html("label", { for: "tensor" }, "Tensor"),
    tensor,
    error,
    html(
      "p",
      { class: "quiet", id: "tensor-help" },
      "JSON of any shape, such as 0.5 or [[1, 2], [3, 4]], or numbers with spaces, commas or ",
      "lines between them.",
    ),
    html("p", { class: "field" }, html("label", { for: "dtype" }, "dtype"), dtype),
  );

// Asks again after each change, and drops the answer to what has changed since.
function followed(root, fields, compute) {
  let timer = 0;
  let running = new AbortController();
  const soon = (delay) => {
    clearTimeout(timer);
    running.abort();
    running = new AbortController();
    const { signal } = running;
    timer = setTimeout(() => compute(signal).catch(unlessAborted), delay);
  };
  for (const field of fields) field.addEventListener("input", () => soon(PATIENCE_MS));
  whileShown(root, () => key.watch(() => soon(0)));
}

function unlessAborted(error) {
  if (error.name !== "AbortError") throw error;
}

async function computed(json, dtype, signal) {
  try {
    // The tensor stands on a line of its own, so that an error's line and column are its own.
    const body = `{"dtype": ${JSON.stringify(dtype)}, "inputs":\n${json}}`;
    const { outputs, shape } = await ask("sigmoid", body, signal);
    const inputs = elementsOf(JSON.parse(json)).slice(0, MOST_ROWS);
    const grid = gridOver(inputs);
    const negated = inputs.map((x) => -x);
    const { batch } = await ask("sigmoid", { batch: [grid, negated], dtype }, signal);
    const sigmoids = elementsOf(outputs).slice(0, MOST_ROWS);
    const derivatives = sigmoids.map((each, i) => each * batch[1][i]);
    return { values: { shape, dtype, inputs, sigmoids, derivatives, grid, curve: batch[0] } };
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    return { problem };
  }
}

// Symmetric about 0: the sigmoid of -x is found at the other end.
function gridOver(inputs) {
  const widest = Math.max(LEAST_REACH, ...inputs.map((x) => 1.05 * Math.abs(x)));
  const reach = Math.min(MOST_REACH, Math.ceil(widest));
  const half = (GRID_POINTS - 1) / 2;
  return Array.from({ length: GRID_POINTS }, (_, i) => (reach * (i - half)) / half);
}

function picture({ inputs, sigmoids, derivatives, grid, curve }) {
  const reach = grid.at(-1);
  const inside = inputs.map((x, i) => [x, i]).filter(([x]) => Math.abs(x) <= reach);
  const outside = inputs.length - inside.length;
  const chart = plot({
    label: `The sigmoid and its derivative from ${-reach} to ${reach}, with ${inside.length} `
      + "elements of the tensor on them; the table below says the values.",
    x: { min: -reach, max: reach, ticks: steps(-reach, reach, 6) },
    y: { min: 0, max: 1, ticks: [0, 0.25, 0.5, 0.75, 1] },
    lines: [
      { kind: "one", points: grid.map((x, i) => [x, curve[i]]) },
      { kind: "two", points: grid.map((x, i) => [x, curve[i] * curve[curve.length - 1 - i]]) },
    ],
    dots: [
      { kind: "one", points: inside.map(([x, i]) => [x, sigmoids[i]]) },
      { kind: "two", points: inside.map(([x, i]) => [x, derivatives[i]]) },
    ],
  });
  const note = outside ? [`${outside} of the elements lie outside the picture.`] : [];
  return [
    legend([["one", "σ(x)"], ["two", "σ′(x)"]]),
    chart,
    ...note.map((text) => html("p", { class: "quiet" }, text)),
  ];
}

function table({ shape, dtype, inputs, sigmoids, derivatives }) {
  const size = shape.reduce((product, each) => product * each, 1);
  const count = size === 1 ? "1 element" : `${size.toLocaleString("en")} elements`;
  const cut = size > MOST_ROWS ? `; the first ${MOST_ROWS} are listed` : "";
  const rows = inputs.map((x, i) =>
    html(
      "tr",
      {},
      html("th", { scope: "row" }, indexOf(i, shape)),
      ...[x, sigmoids[i], shown(derivatives[i])].map((each) =>
        html("td", { class: "number" }, String(each))),
    ));
  const names = ["index", "x", "σ(x)", "σ′(x)"].map((name) => html("th", { scope: "col" }, name));
  const caption = `Shape [${shape.join(", ")}]: ${count}, ${dtype}${cut}.`;
  return [
    html("p", { id: "tensor-shape" }, caption),
    html(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": "Values of the tensor" },
      html(
        "table",
        { class: "table", id: "tensor-table" },
        html("thead", {}, html("tr", {}, ...names)),
        html("tbody", {}, ...rows),
      ),
    ),
  ];
}
