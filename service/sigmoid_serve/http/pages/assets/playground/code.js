// The request that was sent last, as programs to copy.
import { base, key, pathOf } from "./api.js";
import { html } from "./dom.js";
import { PROGRAMS } from "./snippets.js";
import { answer, card, row } from "./state.js";

const KEY = "The key comes from the environment variable SIGMOID_KEY; it is not shown here.";

/** What the programs send; null while there is no row of numbers with an answer. */
function request() {
  const [about, answered, values] = [card.get(), answer.get(), row.get()];
  if (!about || answered?.model !== about.name || answered.version !== about.version) return null;
  if (values.length !== about.features || !values.every(Number.isFinite)) return null;
  return {
    base,
    url: `${base}/${pathOf(about)}/predict`,
    model: about.name,
    version: about.version,
    row: values,
    names: about.feature_names ?? null,
    areTexts: Boolean(about.classes) && about.task !== "multilabel",
    hasKey: key.get() !== "",
  };
}

/** Copies a text, or selects it where the browser allows no more. */
async function copy(text, element, said) {
  try {
    // There is no clipboard on pages without TLS, but for those of this machine.
    await navigator.clipboard.writeText(text);
    said.textContent = "Copied.";
  } catch {
    getSelection().selectAllChildren(element);
    said.textContent = "Selected: copy it with Ctrl+C or ⌘C.";
  }
}

/** Shows the panel; each answer to the row of the form writes it anew. */
export function start(root) {
  const code = html("code");
  const needs = html("p", { class: "quiet" });
  const said = html("span", { class: "quiet", role: "status" });
  let chosen = PROGRAMS[0];
  let sent = null;
  const show = () => {
    sent = request() ?? sent; // what was sent before still works
    if (!sent) return;
    root.hidden = false;
    const [, write, what] = chosen;
    said.textContent = "";
    code.textContent = write(sent);
    needs.textContent = sent.hasKey ? `${what} ${KEY}` : what;
  };
  const kinds = kindsOf((program) => {
    chosen = program;
    show();
  });
  const onclick = () => copy(code.textContent, code, said);
  const button = html("button", { type: "button", class: "button", onclick }, "Copy");
  root.classList.add("panel");
  root.hidden = true;
  root.append(
    html("h2", {}, "Code"),
    html("p", { class: "quiet" }, "The same request as a program: paste it, and it runs."),
    html("div", { class: "cluster apart" }, kinds, html("div", { class: "cluster" }, said, button)),
    // Whoever has no mouse scrolls what has the focus.
    html("pre", { id: "snippet", tabindex: 0, role: "region", "aria-label": "Program" }, code),
    needs,
  );
  answer.watch(show);
  key.watch(show);
}

function kindsOf(choose) {
  const press = (pressed) => {
    for (const each of buttons) each.setAttribute("aria-pressed", each === pressed);
  };
  const buttons = PROGRAMS.map((program) => {
    const onclick = ({ currentTarget }) => {
      press(currentTarget);
      choose(program);
    };
    return html("button", { type: "button", class: "button", onclick }, program[0]);
  });
  press(buttons[0]);
  const about = { class: "cluster", role: "group", "aria-label": "Kind of program" };
  return html("div", about, ...buttons);
}
