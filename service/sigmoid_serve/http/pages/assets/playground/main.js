// Starts the parts of the page, each in the element of its name.
import { start as startCode } from "./code.js";
import { start as startCurves } from "./curves.js";
import { start as startBars } from "./bars.js";
import { start as startDepth } from "./depth.js";
import { start as startDigits } from "./digits.js";
import { start as startElements } from "./elements.js";
import { start as startForm } from "./form.js";
import { start as startHead } from "./head.js";
import { start as startLive } from "./live.js";
import { start as startPrediction } from "./prediction.js";

const parts = {
  head: startHead,
  form: startForm,
  digits: startDigits,
  bars: startBars,
  curves: startCurves,
  code: startCode,
  elements: startElements,
  depth: startDepth,
  live: startLive,
};

for (const [id, start] of Object.entries(parts)) start(document.getElementById(id));
startPrediction();
