// Starts the parts of the page, each in the element of its name.
import { start as startCode } from "./code.js";
import { start as startCurves } from "./curves.js";
import { start as startBars } from "./bars.js";
import { start as startBatch } from "./batch.js";
import { start as startDigits } from "./digits.js";
import { start as startForm } from "./form.js";
import { start as startHead } from "./head.js";
import { start as startPrediction } from "./prediction.js";
import { onceShown } from "./visible.js";

const parts = {
  head: startHead,
  form: startForm,
  digits: startDigits,
  bars: startBars,
  batch: startBatch,
  curves: startCurves,
  code: startCode,
};

// Of the other tabs; who never opens them need not load them.
const later = {
  elements: () => import("./elements.js"),
  depth: () => import("./depth.js"),
  live: () => import("./live.js"),
};

// First, so that the request is under way while the form is drawn.
startPrediction();
for (const [id, start] of Object.entries(parts)) start(document.getElementById(id));
for (const [id, load] of Object.entries(later)) {
  const element = document.getElementById(id);
  onceShown(element, async () => (await load()).start(element));
}
