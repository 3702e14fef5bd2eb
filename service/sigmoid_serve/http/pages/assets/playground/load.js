// Requests that the reader sends, so that there is something to see.
import { ask, pathOf } from "./api.js";
import { html } from "./dom.js";
import { card, chosen, row } from "./state.js";

const COUNT = 200;
const AT_A_TIME = 8;

/** A button that sends many `/predict` requests, and what became of them. */
export function loadButton() {
  const said = html("span", { class: "quiet", role: "status" });
  const button = html("button", { class: "button main", type: "button" }, `Send ${COUNT} requests`);
  button.addEventListener("click", async () => {
    button.disabled = true;
    said.textContent = await sent((count) => (said.textContent = `${count} of ${COUNT} answered`));
    button.disabled = false;
  });
  return html("p", { class: "cluster" }, button, said);
}

async function sent(follow) {
  if (!chosen.get() || !card.get()) return "No model is chosen.";
  const path = `${pathOf(chosen.get())}/predict`;
  const body = { inputs: numbers() };
  const begun = performance.now();
  const errors = [];
  let [next, answered] = [0, 0];
  const sendInTurn = async () => {
    while (next < COUNT && errors[0]?.status !== 401) {
      next += 1;
      await ask(path, body).catch((error) => errors.push(error));
      follow((answered += 1));
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, sendInTurn));
  const seconds = ((performance.now() - begun) / 1000).toFixed(2);
  const outcome = errors.length
    ? `${errors.length} errors, the first: ${errors[0].message}`
    : "no error";
  const what = `${answered} requests to ${chosen.get().name}`;
  return `${what} answered in ${seconds} s, ${AT_A_TIME} at a time: ${outcome}.`;
}

// The row of the form, where it is one that the server takes.
function numbers() {
  const { features } = card.get();
  const values = row.get();
  const isWhole = values.length === features && values.every(Number.isFinite);
  return isWhole ? values : new Array(features).fill(0);
}
