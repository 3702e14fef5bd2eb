// A digit to draw, where the features are the pixels of one.
import { MOST, SIDE, drawing } from "./brush.js";
import { html } from "./dom.js";
import { card, row } from "./state.js";

const NAMES = Array.from(
  { length: SIDE * SIDE },
  (_, i) => `pixel_${Math.floor(i / SIDE)}_${i % SIDE}`,
);
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
const LEVELS = [0, MOST / 2, MOST];

const isDigits = (features) =>
  features?.length === NAMES.length && NAMES.every((name, i) => name === features[i]);

/** Fills the place above the form. */
export function start(root) {
  const picture = drawing();
  const cells = NAMES.map(() =>
    html("div", { class: "pixel", role: "gridcell", tabindex: -1 }));
  const grid = gridOf(cells);
  let own = null;
  const show = () => {
    own = picture.pixels();
    cells.forEach((cell, i) => showPixel(cell, i, own[i]));
  };
  const put = () => {
    show();
    row.set(own);
  };
  root.classList.add("panel");
  root.append(...heading(), grid, buttons(picture, put));
  letDraw(grid, picture, put);
  letType(grid, cells, picture, put);
  row.watch((values) => {
    if (values === own) return;
    picture.begin(values);
    show();
  });
  card.watch((said) => {
    root.hidden = !isDigits(said?.feature_names);
    root.querySelector(".example").hidden = !said?.examples?.length;
  });
}

const heading = () => [
  html("h2", {}, "Draw a digit"),
  html(
    "p",
    { class: "quiet", id: "digits-help" },
    "Over the full height, as in the training data. Each pixel is a feature, 0 to 16. With the ",
    "keyboard: arrows move, Space goes from 0 to 8 to 16.",
  ),
];

function gridOf(cells) {
  const rows = Array.from({ length: SIDE }, (_, i) =>
    html("div", { role: "row" }, ...cells.slice(i * SIDE, (i + 1) * SIDE)));
  cells[0].tabIndex = 0;
  const names = { "aria-label": "Digit, 8 by 8 pixels", "aria-describedby": "digits-help" };
  return html("div", { class: "digit", role: "grid", ...names }, ...rows);
}

function showPixel(cell, i, value) {
  cell.style.setProperty("--level", value / MOST);
  const place = `row ${Math.floor(i / SIDE) + 1}, column ${(i % SIDE) + 1}`;
  cell.setAttribute("aria-label", `${place}: ${value}`);
}

function buttons(picture, put) {
  const begin = (pixels) => {
    picture.begin(pixels);
    put();
  };
  const any = () => {
    const { examples } = card.get();
    begin(examples[Math.floor(Math.random() * examples.length)]);
  };
  const button = (text, onclick, kind = "") =>
    html("button", { class: `button ${kind}`, type: "button", onclick }, text);
  return html(
    "p",
    { class: "cluster" },
    button("Clear", () => begin([])),
    button("Random digit", any, "example"),
  );
}

function letDraw(grid, picture, put) {
  let last = null;
  const placeOf = ({ clientX, clientY }) => {
    const box = grid.getBoundingClientRect();
    return [(clientX - box.left) / box.width, (clientY - box.top) / box.height];
  };
  const draw = (event) => {
    // A fast pen moves several times before the browser says so.
    const moves = event.getCoalescedEvents?.() ?? [];
    for (const each of moves.length ? moves : [event]) {
      const place = placeOf(each);
      picture.line(last ?? place, place);
      last = place;
    }
    put();
  };
  grid.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    grid.setPointerCapture(event.pointerId);
    draw(event);
  });
  grid.addEventListener("pointermove", (event) => {
    if (last) draw(event);
  });
  for (const end of ["pointerup", "pointercancel"])
    grid.addEventListener(end, () => (last = null));
}

function letType(grid, cells, picture, put) {
  const go = (i) => {
    for (const cell of cells) cell.tabIndex = -1;
    cells[i].tabIndex = 0;
    cells[i].focus();
  };
  const change = (i) => {
    const pixels = picture.pixels();
    pixels[i] = LEVELS.find((level) => level > pixels[i]) ?? 0;
    picture.begin(pixels);
    put();
  };
  grid.addEventListener("keydown", (event) => {
    const i = cells.indexOf(event.target);
    const step = STEPS[event.key];
    if (i < 0 || !(step || event.key === " " || event.key === "Enter")) return;
    event.preventDefault();
    if (!step) return change(i);
    const [y, x] = [Math.floor(i / SIDE) + step[0], (i % SIDE) + step[1]];
    if (y >= 0 && y < SIDE && x >= 0 && x < SIDE) go(y * SIDE + x);
  });
}
