// Programs that send one row to one model, and print its label and probabilities.

// Records of more features are harder to read than rows of numbers.
const MOST_NAMED = 40;
const PER_LINE = 8;
const WIDTH = 80;

// Texts and numbers of JSON are the same in Python and in JavaScript.
const quoted = (value) => JSON.stringify(value);

// For bash: only a quote ends what is in quotes.
const single = (text) => `'${text.replaceAll("'", "'\\''")}'`;

// In an object of JavaScript this key would set the prototype.
const keyOf = (name) => (name === "__proto__" ? '["__proto__"]' : quoted(name));

const JSON_TEXT = { indent: "  ", step: "  ", write: quoted };
const JAVASCRIPT = { indent: "  ", step: "  ", write: keyOf };
const PYTHON = { indent: "", step: "    ", write: quoted };
const ARGUMENT = { ...PYTHON, indent: "    " };

// Numbers, as many to a line as are read at a glance, and fit.
function list(values, { indent, step }) {
  const lines = [[]];
  let width = 0;
  for (const number of values.map(quoted)) {
    width += number.length + 2;
    if (lines.at(-1).length === PER_LINE || width > WIDTH) {
      lines.push([]);
      width = number.length + 2;
    }
    lines.at(-1).push(number);
  }
  const [first, ...rest] = lines.map((line) => line.join(", "));
  if (!rest.length) return `[${first}]`;
  const inner = `\n${indent}${step}`;
  return `[${inner}${[first, ...rest].join(`,${inner}`)}\n${indent}]`;
}

function record(names, values, { indent, step, write }) {
  const lines = names.map((name, i) => `${indent}${step}${write(name)}: ${quoted(values[i])}`);
  return `{\n${lines.join(",\n")}\n${indent}}`;
}

// A record where the features have names, else a list.
function inputs({ row, names }, style) {
  const isNamed = names !== null && names.length <= MOST_NAMED;
  return isNamed ? record(names, row, style) : list(row, style);
}

function curl(request) {
  const key = request.hasKey ? '  -H "Authorization: Bearer $SIGMOID_KEY" \\\n' : "";
  return `curl -sS ${single(request.url)} \\
  -H 'Content-Type: application/json' \\
${key}  -d ${single(`{"inputs": ${inputs(request, JSON_TEXT)}}`)}
`;
}

const environment = ({ hasKey }) => (hasKey ? "import os\n\n" : "");
const bearer = `{"Authorization": f"Bearer {os.environ['SIGMOID_KEY']}"}`;

function httpx(request) {
  const headers = request.hasKey ? `    headers=${bearer},\n` : "";
  return `${environment(request)}import httpx

response = httpx.post(
    ${quoted(request.url)},
${headers}    json={"inputs": ${inputs(request, ARGUMENT)}},
)
response.raise_for_status()
answer = response.json()
print(answer["labels"], answer["probabilities"])
`;
}

function client(request) {
  const key = request.hasKey ? ', key=os.environ["SIGMOID_KEY"]' : "";
  return `${environment(request)}from sigmoid_serve import Client

row = ${inputs(request, PYTHON)}
with Client(${quoted(request.base)}${key}) as client:
    answer = client.predict(row, model=${quoted(request.model)}, version=${quoted(request.version)})
print(answer.labels, answer.probabilities)
`;
}

function javascript(request) {
  const key = request.hasKey
    ? "\n    Authorization: `Bearer ${process.env.SIGMOID_KEY}`,"
    : "";
  return `const response = await fetch(${quoted(request.url)}, {
  method: "POST",
  headers: {
    "Content-Type": "application/json",${key}
  },
  body: JSON.stringify({ inputs: ${inputs(request, JAVASCRIPT)} }),
});
if (!response.ok) throw new Error(await response.text());
const answer = await response.json();
console.log(answer.labels, answer.probabilities);
`;
}

function tritonclient(request) {
  const { protocol, host, pathname } = new URL(request.base);
  const place = quoted(host + pathname.replace(/\/$/, ""));
  const ssl = protocol === "https:" ? ", ssl=True" : "";
  const headers = request.hasKey ? `headers = ${bearer}\n` : "";
  const withKey = request.hasKey ? ", headers=headers" : "";
  const text = request.areTexts ? ".decode()" : "";
  return `${environment(request)}import numpy as np
from tritonclient.http import InferenceServerClient, InferInput

rows = np.array([${list(request.row, PYTHON)}], np.float64)
inputs = InferInput("inputs", rows.shape, "FP64")
inputs.set_data_from_numpy(rows)
model, version = ${quoted(request.model)}, ${quoted(request.version)}
${headers}with InferenceServerClient(${place}${ssl}) as client:
    answer = client.infer(model, [inputs], version${withKey})
labels, probabilities = map(answer.as_numpy, ("labels", "probabilities"))
print(labels[0]${text}, probabilities[0])
`;
}

/** Name of each program, what writes it, and what it needs. */
export const PROGRAMS = [
  ["curl", curl, "In a shell, such as bash."],
  ["httpx", httpx, "Python with the package httpx."],
  ["Python client", client, "Python with the package sigmoid-serve."],
  ["JavaScript", javascript, "A module for Node.js, Deno or Bun, or this page's console."],
  ["tritonclient", tritonclient, "Python with tritonclient[http]: the Open Inference Protocol."],
];
