// What Swagger UI leaves without a name for readers of screens, or without a way in for
// keyboards, gets it whenever it is drawn.
"use strict";

const rowOf = (element) => element.closest("tr[data-param-name]").dataset.paramName;

const NAMES = [
  [".copy-to-clipboard button", () => "Copy"],
  [".body-param__text", () => "Request body"],
  [".examples-select-element", () => "Example"],
  ["tr[data-param-name] select", rowOf],
];

// A row that unfolds is a button; a link in it cannot be reached as such.
const INNER_LINKS = ".opblock-summary-control a[href]";
const SCROLLED = "pre.microlight:not([tabindex])";

const page = document.getElementById("swagger-ui");
let isDue = false;

function complete() {
  isDue = false;
  for (const [selector, nameOf] of NAMES)
    for (const each of page.querySelectorAll(`${selector}:not([aria-label])`))
      each.setAttribute("aria-label", nameOf(each));
  for (const each of page.querySelectorAll(INNER_LINKS)) each.removeAttribute("href");
  for (const each of page.querySelectorAll(SCROLLED)) each.tabIndex = 0;
}

new MutationObserver(() => {
  if (!isDue) requestAnimationFrame(complete);
  isDue = true;
}).observe(page, { childList: true, subtree: true });
