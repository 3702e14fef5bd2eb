// One feature of the form: its name, what is known of it, a slider and a number.
import { html } from "./dom.js";
import { histogram, mark } from "./histogram.js";
import { isOutside, placeOf, valueAt, within } from "./ranges.js";
import { numberIn } from "./rows.js";

/** Makes it; `change` is called with a number, or with a text that is none. */
export function feature(index, name, range, change) {
  const isVaried = range !== null && range.max > range.min;
  const input = html("input", {
    id: `feature-${index}`,
    type: "text",
    inputmode: "decimal",
    autocomplete: "off",
    spellcheck: "false",
    class: "number",
  });
  const drawn = isVaried && range.quantiles ? histogram(range.quantiles) : null;
  const slider = range ? sliderOf(index, name, range, isVaried) : null;
  const notes = html("div", { class: "notes" });
  const element = html(
    "div",
    { class: "feature" },
    html("label", { for: input.id, class: "name", title: name }, name),
    html("div", { class: "range" }, drawn, slider),
    input,
    notes,
  );
  input.addEventListener("input", () => change(numberIn(input.value) ?? input.value));
  slider?.addEventListener("input", () => change(slid(slider, range)));

  const show = (value) => {
    if (input.value !== value && numberIn(input.value) !== value) input.value = value;
    const isNumber = typeof value === "number";
    if (slider && isNumber) slider.value = within(range, value);
    if (drawn && isNumber) mark(drawn, placeOf(range, value));
    const isBeyond = isNumber && isOutside(range, value);
    if (isBeyond === Boolean(element.querySelector(".beyond"))) return;
    if (isBeyond) notes.append(html("p", { class: "quiet beyond" }, "outside the training rows"));
    else element.querySelector(".beyond").remove();
  };
  return { element, input, show, fail: (text) => fail(index, input, notes, text) };
}

function sliderOf(index, name, { min, max, decimals }, isVaried) {
  return html("input", {
    id: `slider-${index}`,
    type: "range",
    "aria-label": `${name}, slider`,
    min,
    max,
    step: 10 ** -decimals,
    disabled: !isVaried,
    title: isVaried ? `${min} to ${max}` : `always ${min} in the training rows`,
  });
}

// The last step may not reach the end; the slider's own rounding is no one's value.
function slid(slider, range) {
  const step = Number(slider.step);
  const value = Number(slider.value);
  if (value > range.max - step) return range.max;
  return valueAt(range, (value - range.min) / (range.max - range.min));
}

function fail(index, input, notes, text) {
  const id = `error-${index}`;
  notes.querySelector(".wrong")?.remove();
  if (text) notes.prepend(html("p", { id, class: "wrong", role: "alert" }, text));
  for (const [name, value] of [["aria-invalid", "true"], ["aria-describedby", id]])
    if (text) input.setAttribute(name, value);
    else input.removeAttribute(name);
}
