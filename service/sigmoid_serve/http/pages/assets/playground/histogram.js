// The rows that a network was trained on, as a histogram drawn from quantiles.
import { svg } from "./dom.js";

const BINS = 28;
const HEIGHT = 18;

/** Shares of equally wide bins between the first and the last quantile; pure. */
export function sharesOf(quantiles, bins) {
  const shares = new Array(bins).fill(0);
  const [min, max] = [quantiles[0], quantiles.at(-1)];
  const binOf = (value) => Math.min(bins - 1, Math.floor(((value - min) / (max - min)) * bins));
  const each = 1 / (quantiles.length - 1);
  for (let i = 1; i < quantiles.length; i += 1) {
    const [low, high] = [quantiles[i - 1], quantiles[i]];
    if (low === high) {
      shares[binOf(low)] += each;
      continue;
    }
    for (let bin = binOf(low); bin <= binOf(high); bin += 1) {
      const from = Math.max(low, min + (bin / bins) * (max - min));
      const to = Math.min(high, min + ((bin + 1) / bins) * (max - min));
      shares[bin] += (each * Math.max(0, to - from)) / (high - low);
    }
  }
  return shares;
}

/** Draws it as one path; it tells nothing that the slider does not say. */
export function histogram(quantiles) {
  const shares = sharesOf(quantiles, BINS);
  const most = Math.max(...shares);
  // By the root: a rare value is still to be seen beside one that most rows have.
  const tops = shares.map((share) => HEIGHT * (1 - Math.sqrt(share / most)));
  const steps = tops.map((top, bin) => `V${top.toFixed(1)}H${bin + 1}`).join("");
  return svg(
    "svg",
    {
      class: "histogram",
      viewBox: `0 0 ${BINS} ${HEIGHT}`,
      preserveAspectRatio: "none",
      "aria-hidden": "true",
    },
    svg("path", { d: `M0,${HEIGHT}${steps}V${HEIGHT}Z` }),
    svg("line", { y1: 0, y2: HEIGHT, "vector-effect": "non-scaling-stroke" }),
  );
}

/** Moves the mark to a place of the range, 0 to 1. */
export function mark(drawn, place) {
  const line = drawn.lastChild;
  for (const end of ["x1", "x2"]) line.setAttribute(end, (place * BINS).toFixed(2));
}
