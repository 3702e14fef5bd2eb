// Tensors as people type them: JSON of any rank, or numbers with anything between them.

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const NOT_FINITE = /^([+-]?Infinity|NaN)$/;

/** Text as the JSON that is sent; what is no number goes as a string, for the server to name. */
export function jsonOf(text) {
  if (isJson(text) || /[[\]{}"]/.test(text)) return text;
  return `[${text.split(/[\s,;]+/).filter(Boolean).map(jsonOfToken).join(", ")}]`;
}

function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function jsonOfToken(token) {
  if (NUMBER.test(token)) return token;
  if (NOT_FINITE.test(token)) return token.replace("+", "");
  const value = Number(token);
  return Number.isFinite(value) ? String(value) : JSON.stringify(token);
}

/** Elements of a tensor, in C order. */
export const elementsOf = (tensor) => [tensor].flat(Infinity);

/** Index of the element at `position` in C order, such as `[1, 0]`. */
export function indexOf(position, shape) {
  const index = [];
  for (const size of [...shape].reverse()) {
    index.unshift(position % size);
    position = Math.floor(position / size);
  }
  return `[${index.join(", ")}]`;
}

/** What is wrong with a tensor that was sent as the second line of a body. */
export function complaint(problem, json) {
  if (problem.status === 401) return "The server asks for a key: give it above.";
  if (problem.code === "malformed_json")
    return problem.message.replace(/line (\d+)/, (_, line) => `line ${line - 1}`);
  const steps = problem.pointer.match(/^\/inputs(\/\d+)*$/) && problem.pointer.split("/").slice(2);
  if (!steps || !problem.expected) return problem.message;
  const place = steps.length ? `Element [${steps.join(", ")}]` : "The tensor";
  return `${place}${writtenAt(steps, json)}: expected ${problem.expected}, got ${problem.got}.`;
}

function writtenAt(steps, json) {
  if (!steps.length || !isJson(json)) return "";
  const text = JSON.stringify(steps.reduce((value, step) => value?.[step], JSON.parse(json)));
  return text === undefined ? "" : ` (${text.length > 30 ? `${text.slice(0, 30)}…` : text})`;
}
