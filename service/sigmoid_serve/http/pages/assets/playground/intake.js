// Rows from the outside: pasted, dropped, or from a file.
import { rows } from "./batch.js";
import { html } from "./dom.js";
import { Unreadable, readRows } from "./rows.js";
import { card, row } from "./state.js";

// A thousand rows of a thousand features; of longer files the beginning is read.
const MOST_BYTES = 2 ** 25;

/** Makes the dialog and the button that opens it; takes files dropped on the page. */
export function startIntake() {
  const parts = makeParts();
  const { text, file, fault, confirm, close } = parts;
  const opener = html("button", { type: "button", class: "button" }, "Paste…");
  const dialog = html("dialog", { "aria-labelledby": "paste-title" }, ...layOut(parts));
  const say = (sentence) => {
    fault.textContent = sentence;
    text.removeAttribute("aria-invalid");
    if (sentence) text.setAttribute("aria-invalid", "true");
    if (sentence && !dialog.open) dialog.showModal();
  };
  const use = (given) => {
    try {
      take(readRows(given, card.get()));
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      return say(error.message);
    }
    say("");
    dialog.close();
  };
  opener.addEventListener("click", () => {
    say("");
    dialog.showModal();
    text.focus();
  });
  confirm.addEventListener("click", () => use(text.value));
  close.addEventListener("click", () => dialog.close());
  file.addEventListener("change", async () => {
    const [chosen] = file.files;
    if (chosen) use(await beginning(chosen));
    // The same file may be chosen again once it is mended.
    file.value = "";
  });
  takeDrops(use);
  return { dialog, opener };
}

const makeParts = () => ({
  text: html("textarea", {
    id: "paste",
    rows: 9,
    spellcheck: "false",
    "aria-describedby": "paste-problem",
  }),
  file: html("input", { id: "file", type: "file", accept: ".csv,.tsv,.txt,.json" }),
  fault: html("p", { id: "paste-problem", class: "wrong", role: "alert" }),
  confirm: html("button", { type: "button", class: "button main" }, "Use"),
  close: html("button", { type: "button", class: "button" }, "Cancel"),
});

const layOut = ({ text, file, fault, confirm, close }) => [
  html("h2", { id: "paste-title" }, "Paste rows"),
  html(
    "p",
    { class: "quiet" },
    "JSON (a list, a record, or a whole request), or CSV with or without a header. " +
      "Files can also be dropped anywhere on the page.",
  ),
  html("label", { for: "paste" }, "JSON or CSV"),
  text,
  html("div", { class: "cluster" }, html("label", { for: "file" }, "Or a file"), file),
  fault,
  html("div", { class: "cluster" }, confirm, close),
];

function take({ rows: given, note }) {
  row.set(given[0]);
  rows.set(given.length > 1 || note ? { given, note } : null);
}

async function beginning(file) {
  if (file.size <= MOST_BYTES) return file.text();
  const text = await file.slice(0, MOST_BYTES).text();
  return text.slice(0, text.lastIndexOf("\n") + 1);
}

function takeDrops(use) {
  const isFile = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  const leave = () => document.body.classList.remove("dropping");
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) leave();
  });
  addEventListener("drop", async (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    leave();
    if (card.get()) use(await beginning(event.dataTransfer.files[0]));
  });
}
