// What charts have in common: scales, lines, and axes with few words.
import { shown, svg } from "./dom.js";

/** Maps values from a range to pixels. */
export function scale([from, to], [start, end]) {
  const width = to - from || 1;
  return (value) => start + ((value - from) / width) * (end - start);
}

/** The path of a line through points, each `[x, y]` in pixels. */
export const path = (points) =>
  points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`).join("");

/** A horizontal axis with its first and last value, and a name in between. */
export function axis([from, to], [left, right], y, name = "") {
  const words = [
    [left, "start", shown(from)],
    [(left + right) / 2, "middle", name],
    [right, "end", shown(to)],
  ];
  return svg(
    "g",
    {},
    svg("line", { class: "axis", x1: left, x2: right, y1: y, y2: y }),
    ...words
      .filter(([, , text]) => text)
      .map(([x, anchor, text]) => svg("text", { x, y: y + 14, "text-anchor": anchor }, text)),
  );
}
