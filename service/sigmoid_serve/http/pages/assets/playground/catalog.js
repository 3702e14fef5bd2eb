// The models of the server: which there are, which is chosen, and its card.
import { Problem, ask, pathOf } from "./api.js";
import { firstRow } from "./ranges.js";
import { card, chosen, models, problem, row } from "./state.js";

const GONE = new Set(["model_not_found", "version_not_found"]);

// Other workers may take a moment to have a new version, too.
const MOMENT = 300;

let last = null;
let asking = new AbortController();

/** Asks for the models again where the server lacks what was chosen, as after a reload. */
export function recover(error) {
  if (GONE.has(error.code)) setTimeout(refresh, MOMENT);
}

/** Asks again which models there are; keeps what is chosen where it is still there. */
export async function refresh() {
  let said;
  try {
    said = await ask("models");
  } catch (error) {
    return tell(error);
  }
  models.set(said);
  const now = chosen.get();
  const model =
    said.models.find(({ name }) => name === now?.name) ??
    said.models.find(({ name }) => name === said.default) ??
    said.models[0];
  if (!model) return;
  const isThere = model.name === now?.name && model.versions.includes(now.version);
  choose({ name: model.name, version: isThere ? now.version : model.version });
}

/** Chooses a version of a model, and fetches its card. */
export function choose(next) {
  asking.abort();
  asking = new AbortController();
  card.set(null);
  chosen.set(next);
  return fetchCard(next, asking.signal);
}

async function fetchCard(which, signal) {
  let said;
  try {
    said = await ask(pathOf(which), undefined, signal);
  } catch (error) {
    if (error.name === "AbortError") return;
    recover(error);
    return tell(error);
  }
  // Another version of what was chosen before answers the same row: that compares them.
  const isSame = last?.name === said.name && last.features === said.features;
  last = said;
  if (!isSame) row.set(firstRow(said));
  card.set(said);
}

// Without a key there is a form that asks for it.
function tell(error) {
  if (!(error instanceof Problem)) throw error;
  if (error.status !== 401) problem.set(error);
}
