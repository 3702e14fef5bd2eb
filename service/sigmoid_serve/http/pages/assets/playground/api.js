// Requests to the server that sent this page, with the key that the reader gave.
import { signal } from "./signal.js";

const KEY = "sigmoid-serve-key";

/** The API key; it stays in this tab. */
export const key = signal(sessionStorage.getItem(KEY) ?? "");
key.watch((value) => {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
});

/** Whether the server refused the last request for lack of a key that it knows. */
export const keyNeeded = signal(false);

/** An error that the server answered, or that no answer came (status 0). */
export class Problem extends Error {
  constructor(fields) {
    super(fields.detail);
    this.status = fields.status;
    this.code = fields.code;
    this.pointer = fields.pointer ?? "";
    this.expected = fields.expected ?? "";
    this.got = fields.got ?? "";
  }
}

/** Where the server is, without a slash at the end. */
export const base = new URL(".", document.baseURI).href.replace(/\/$/, "");

async function send(path, options) {
  const headers = { ...options.headers };
  if (key.get()) headers.Authorization = `Bearer ${key.get()}`;
  let response;
  try {
    response = await fetch(`${base}/${path}`, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    const detail = "no answer: is the server running?";
    throw new Problem({ status: 0, code: "unreachable", detail });
  }
  if (!response.ok) throw new Problem(await fieldsOf(response));
  keyNeeded.set(false);
  return response;
}

async function fieldsOf(response) {
  if (response.status === 401) keyNeeded.set(true);
  const text = await response.text();
  try {
    return { status: response.status, ...JSON.parse(text) };
  } catch {
    return { status: response.status, code: "unknown", detail: `HTTP ${response.status}` };
  }
}

const posted = (body, signal, headers = {}) => ({
  method: "POST",
  headers: { "Content-Type": "application/json", ...headers },
  body: typeof body === "string" ? body : JSON.stringify(body),
  signal,
});

/** Sends JSON, or a text that is JSON, where there is a body; returns what the answer says. */
export async function ask(path, body, signal) {
  return (await send(path, body === undefined ? { signal } : posted(body, signal))).json();
}

/** Sends JSON; returns the answer and its milliseconds, here and of them in the server. */
export async function askTimed(path, body, signal) {
  const begun = performance.now();
  const response = await send(path, posted(body, signal));
  const said = await response.json();
  const took = performance.now() - begun;
  const stages = (response.headers.get("Server-Timing") ?? "").matchAll(/dur=([\d.]+)/g);
  const served = [...stages].reduce((sum, [, stage]) => sum + Number(stage), 0);
  return { said, took, served };
}

/** Sends rows as JSON; returns what the path's answer holds as one flat Float32Array. */
export async function askArray(path, body, signal) {
  const response = await send(path, posted(body, signal, { Accept: "application/x-npy" }));
  const bytes = await response.arrayBuffer();
  // Format 1.0 of .npy: the length of its header is in bytes 8 and 9.
  return new Float32Array(bytes.slice(10 + new DataView(bytes).getUint16(8, true)));
}

/** Asks for a text. */
export async function askText(path, signal) {
  return (await send(path, { signal })).text();
}

/** Path of a version of a model, to be followed by `/predict` or nothing. */
export const pathOf = ({ name, version }) =>
  `models/${encodeURIComponent(name)}/versions/${encodeURIComponent(version)}`;
