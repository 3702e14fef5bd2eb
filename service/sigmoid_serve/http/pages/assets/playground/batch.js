// Several rows at once: a table of their predictions.
import { Problem, ask, pathOf } from "./api.js";
import { classesOf, namesOf } from "./classes.js";
import { html, shown } from "./dom.js";
import { featureAt, partsOf } from "./pointer.js";
import { nameOf } from "./rows.js";
import { signal } from "./signal.js";
import { card, chosen, row } from "./state.js";

const MOST_CLASSES = 12;

/** `{given, note}`: rows that were pasted, and what was left out; null without any. */
export const rows = signal(null);

export function start(root) {
  const title = html("h2");
  const note = html("p", { class: "quiet", role: "status" });
  const fault = html("p", { class: "wrong", role: "alert" });
  const place = html("div", { class: "scroll" });
  const close = html("button", { type: "button", class: "button" }, "Close");
  root.className = "panel";
  root.append(html("div", { class: "cluster apart" }, title, close), note, fault, place);
  close.addEventListener("click", () => rows.set(null));

  let asking = new AbortController();
  rows.watch(async (now) => {
    asking.abort();
    root.hidden = !now;
    place.replaceChildren();
    fault.textContent = "";
    if (!now) return;
    title.textContent = now.given.length === 1 ? "One row" : `${now.given.length} rows`;
    note.textContent = [now.note, "Choose a row to see it in the form."].join(" ").trim();
    asking = new AbortController();
    const { signal: stopped } = asking;
    try {
      const path = `${pathOf(chosen.get())}/predict`;
      const said = await ask(path, { inputs: now.given }, stopped);
      place.append(tableOf(said, now.given));
    } catch (error) {
      if (stopped.aborted) return;
      if (!(error instanceof Problem)) throw error;
      fault.textContent = placed(error);
    }
  });
  // Rows belong to the model that they were given for.
  chosen.watch(() => rows.set(null));
}

function placed(error) {
  const at = featureAt(error.pointer, card.get());
  const [number] = partsOf(error.pointer) ?? [];
  if (at < 0 || number === undefined) return error.message;
  return `Row ${Number(number) + 1}, ${nameOf(card.get(), at)}: ${error.message}`;
}

function tableOf(said, given) {
  const names = classesOf(at(said, 0), card.get()).slice(0, MOST_CLASSES);
  const head = (text, kind) => html("th", { scope: "col", class: kind }, text);
  const heads = [head("Row"), head("Label"), ...names.map(({ name }) => head(name, "number"))];
  const lines = given.map((values, i) => lineOf(said, values, i));
  row.watch((now) => {
    lines.forEach((line, i) => line.classList.toggle("chosen", given[i] === now));
  });
  return html(
    "table",
    { id: "rows", class: "table" },
    html("thead", {}, html("tr", {}, ...heads)),
    html("tbody", {}, ...lines),
  );
}

function lineOf(said, values, i) {
  const one = at(said, i);
  const classes = classesOf(one, card.get());
  const label = Array.isArray(one.labels)
    ? namesOf(classes) || "none"
    : String(one.labels);
  return html(
    "tr",
    { onclick: () => row.set(values) },
    html("td", {}, html("button", { type: "button", class: "link" }, `Row ${i + 1}`)),
    html("td", {}, label),
    ...classes
      .slice(0, MOST_CLASSES)
      .map(({ probability }) => html("td", { class: "number" }, shown(probability))),
  );
}

// What the answer says of one row.
function at(said, i) {
  return { ...said, probabilities: said.probabilities[i], labels: said.labels[i] };
}
