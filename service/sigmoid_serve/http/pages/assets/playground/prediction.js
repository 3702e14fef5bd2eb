// Asks for the prediction of the row whenever the row or the model changes.
import { Problem, askTimed, pathOf } from "./api.js";
import { recover } from "./catalog.js";
import { answer, card, chosen, problem, row, timing } from "./state.js";

const PAUSE = 60;
const SLOW = 500;

let timer;
let sending = null;

export function start() {
  row.watch(later);
  card.watch((now) => {
    stop();
    if (now) return send();
    answer.set(null);
    problem.set(null);
  });
}

function stop() {
  clearTimeout(timer);
  timer = undefined;
  sending?.abort();
  sending = null;
}

// At most one request is under way: while a slider moves, each answer is shown, and the
// row that came last is asked next.
function later() {
  if (!card.get() || timer !== undefined) return;
  if (sending && performance.now() - sending.begun < SLOW) return;
  timer = setTimeout(send, PAUSE);
}

async function send() {
  stop();
  const own = new AbortController();
  own.begun = performance.now();
  sending = own;
  const asked = row.get();
  const path = `${pathOf(chosen.get())}/predict`;
  try {
    const { said, ...times } = await askTimed(path, { inputs: asked }, own.signal);
    if (own !== sending) return;
    timing.set(times);
    problem.set(null);
    answer.set(said);
  } catch (error) {
    if (own === sending) tell(error);
  } finally {
    if (own === sending) {
      sending = null;
      if (row.get() !== asked) later();
    }
  }
}

function tell(error) {
  if (!(error instanceof Problem)) throw error;
  recover(error);
  answer.set(null);
  // Without a key there is a form that asks for it.
  problem.set(error.status === 401 ? null : error);
}
