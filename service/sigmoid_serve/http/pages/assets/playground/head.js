// The head of the page: its tabs, the model and version, the state, the key.
import { key, keyNeeded } from "./api.js";
import { choose, refresh } from "./catalog.js";
import { html } from "./dom.js";
import { chosen, models } from "./state.js";

const TABS = { predict: "Predict", sigmoid: "Sigmoid", live: "Live" };

export function start(root) {
  const form = keyForm();
  root.append(
    html(
      "div",
      { class: "head" },
      html(
        "div",
        { class: "brand" },
        html("img", { src: "assets/icon.svg", alt: "", width: 26, height: 26 }),
        html("h1", {}, "sigmoid-serve"),
      ),
      tabs(),
      html("div", { class: "cluster choice" }, ...choice()),
      html(
        "div",
        { class: "cluster links" },
        html("a", { href: "docs" }, "API"),
        form.opener,
      ),
    ),
    form.element,
    passedOver(),
  );
  refresh();
}

function tabs() {
  const buttons = Object.entries(TABS).map(([id, text]) =>
    html(
      "button",
      { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": id, class: "tab" },
      text,
    ),
  );
  const ids = Object.keys(TABS);
  const show = () => {
    const asked = location.hash.slice(1);
    const shown = ids.includes(asked) ? asked : ids[0];
    ids.forEach((id, i) => {
      document.getElementById(id).hidden = id !== shown;
      buttons[i].setAttribute("aria-selected", id === shown);
      buttons[i].tabIndex = id === shown ? 0 : -1;
    });
  };
  // Not by `location.hash`, which scrolls the head away.
  const go = (i) => {
    history.pushState(null, "", `${location.pathname}#${ids[i]}`);
    show();
    buttons[i].focus();
  };
  buttons.forEach((button, i) => button.addEventListener("click", () => go(i)));
  for (const id of ids) document.getElementById(id).setAttribute("role", "tabpanel");
  addEventListener("popstate", show);
  addEventListener("hashchange", show);
  show();
  const step = { ArrowRight: 1, ArrowLeft: -1 };
  const move = (event) => {
    if (!(event.key in step)) return;
    event.preventDefault();
    const place = buttons.indexOf(document.activeElement);
    go((place + step[event.key] + ids.length) % ids.length);
  };
  return html("div", { role: "tablist", class: "tabs", onkeydown: move }, ...buttons);
}

function choice() {
  const model = html("select", { id: "model" });
  const version = html("select", { id: "version" });
  const badge = html("span", { class: "badge", hidden: true });
  const listed = () => models.get().models.find(({ name }) => name === model.value);
  model.addEventListener("change", () =>
    choose({ name: model.value, version: listed().version }),
  );
  version.addEventListener("change", () =>
    choose({ name: model.value, version: version.value }),
  );
  const show = () => {
    if (!models.get() || !chosen.get()) return;
    const names = models.get().models.map(({ name }) => name);
    fill(model, names, chosen.get().name);
    fill(version, listed().versions, chosen.get().version);
    badge.hidden = chosen.get().version !== listed().version;
    badge.textContent = listed().state;
    badge.classList.toggle("failed", listed().state === "failed");
    badge.title = `On ${listed().device}`;
  };
  models.watch(show);
  chosen.watch(show);
  return [
    html("label", { for: "model", class: "quiet" }, "Model"),
    model,
    html("label", { for: "version", class: "quiet" }, "Version"),
    version,
    badge,
  ];
}

function fill(select, values, value) {
  select.replaceChildren(...values.map((each) => html("option", { value: each }, each)));
  select.value = value;
}

function passedOver() {
  const text = html("p", { class: "quiet notice", hidden: true });
  models.watch((said) => {
    const listed = said?.passed_over ?? [];
    text.hidden = !listed.length;
    const lines = listed.map(({ name, reason }) => `Not served: ${name} (${reason})`);
    text.textContent = lines.join(" ");
  });
  return text;
}

function keyForm() {
  const input = html("input", { id: "key", type: "password", autocomplete: "off", size: 40 });
  const fault = html("p", { id: "key-problem", class: "wrong", role: "alert" });
  const form = formOf(input, fault);
  const opener = html("button", { type: "button", class: "link" }, "Key");
  const open = () => {
    form.hidden = false;
    input.focus();
  };
  opener.addEventListener("click", open);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const value = input.value.trim();
    fault.textContent = isPossible(value) ? "" : "A key has no spaces and only ASCII characters.";
    if (fault.textContent) return;
    form.hidden = true;
    input.value = "";
    key.set(value);
    keyNeeded.set(false);
    refresh();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    form.hidden = true;
    opener.focus();
  });
  keyNeeded.watch((isNeeded) => {
    if (!isNeeded) return;
    fault.textContent = key.get()
      ? "The server does not know this key (key_unknown)."
      : "This server asks for a key.";
    if (form.hidden) open();
  });
  return { element: form, opener };
}

const formOf = (input, fault) =>
  html(
    "form",
    { class: "key cluster notice", hidden: true },
    html("label", { for: "key" }, "API key"),
    input,
    html("button", { class: "button main" }, "Use key"),
    html("span", { class: "quiet" }, "It stays in this tab. Use an empty one to forget it."),
    fault,
  );

// Anything else cannot be sent in a header.
const isPossible = (value) => /^[\x21-\x7e]*$/.test(value);
