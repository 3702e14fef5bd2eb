// Rows of features in text: JSON, records, CSV. Pure functions.

/** How many rows are taken from one text. */
export const MOST_ROWS = 1000;

const MOST_NAMED = 5;
const MOST_RANK = 32;
const PLAIN = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** A text that cannot be read as rows: one sentence. */
export class Unreadable extends Error {
  constructor(sentence) {
    super(sentence[0].toUpperCase() + sentence.slice(1));
  }
}

/** The number that a text is, else undefined. */
export function numberIn(text, hasDecimalComma = false) {
  const trimmed = text.trim();
  const plain = hasDecimalComma ? trimmed.replace(",", ".") : trimmed;
  const value = PLAIN.test(plain) ? Number(plain) : NaN;
  return Number.isFinite(value) ? value : undefined;
}

/** Name of a feature, or its place where the model does not name it. */
export const nameOf = (card, index) => card.feature_names?.[index] ?? `feature ${index}`;

/** Reads the rows of a text; returns them, and a note on what was left out. */
export function readRows(text, card) {
  const clean = text.replace(/^\ufeff/, "");
  if (!clean.trim()) throw new Unreadable("There is no text: paste JSON or CSV.");
  return /^\s*[[{]/.test(clean) ? readJson(clean, card) : readCsv(clean, card);
}

const quoted = (value) => {
  if (value === "") return "nothing";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return `“${text.length > 30 ? `${text.slice(0, 29)}…` : text}”`;
};

const list = (names) =>
  names.slice(0, MOST_NAMED).map(quoted).join(", ") +
  (names.length > MOST_NAMED ? ` and ${names.length - MOST_NAMED} more` : "");

const counted = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

function tooMany(count) {
  if (count <= MOST_ROWS) return [];
  return [
    `Only the first ${MOST_ROWS.toLocaleString("en")} of ${count.toLocaleString("en")} rows ` +
      "are here; “sigmoid-serve predict” reads files of any length.",
  ];
}

function readJson(text, card) {
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Unreadable(`This is not JSON: ${error.message}.`);
  }
  const names = card.feature_names ?? [];
  if (isRecord(value) && "inputs" in value && !names.includes("inputs")) value = value.inputs;
  const rows = [];
  gather(value, rows);
  if (!rows.length) throw new Unreadable("There is no row in this JSON.");
  const note = tooMany(rows.length).join(" ");
  const read = rows.slice(0, MOST_ROWS).map((each, number) => {
    const where = rows.length > 1 ? `Row ${number + 1}: ` : "";
    return isRecord(each) ? fromRecord(each, card, where) : fromList(each, card, where);
  });
  return { rows: read, note };
}

const isRecord = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

// Lists of any depth hold rows: lists of what is no list, and records.
function gather(value, rows, depth = 0) {
  if (depth > MOST_RANK) throw new Unreadable(`Lists may be ${MOST_RANK} deep at most.`);
  if (isRecord(value)) rows.push(value);
  else if (!Array.isArray(value))
    throw new Unreadable(`Expected a list of numbers or a record, got ${quoted(value)}.`);
  else if (value.some((each) => Array.isArray(each) || isRecord(each)))
    for (const each of value) gather(each, rows, depth + 1);
  else rows.push(value);
}

function fromList(values, card, where) {
  if (values.length !== card.features)
    throw new Unreadable(
      `${where}the model takes ${counted(card.features, "feature")}, got ${values.length}.`,
    );
  return values.map((value, index) => checked(value, nameOf(card, index), where));
}

function fromRecord(record, card, where) {
  if (!card.feature_names)
    throw new Unreadable(`${where}the model does not name its features: give a list of numbers.`);
  const names = new Set(card.feature_names);
  const missing = card.feature_names.filter((name) => !Object.hasOwn(record, name));
  if (missing.length) throw new Unreadable(`${where}these features are missing: ${list(missing)}.`);
  const unknown = Object.keys(record).filter((name) => !names.has(name));
  if (unknown.length)
    throw new Unreadable(`${where}the model has no such features: ${list(unknown)}.`);
  return card.feature_names.map((name) => checked(record[name], name, where));
}

function checked(value, name, where) {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw new Unreadable(`${where}${quoted(name)}: expected a number, got ${quoted(value)}.`);
}

function readCsv(text, card) {
  const separator = separatorOf(text);
  const hasDecimalComma = separator === ";";
  const records = recordsOf(text, separator);
  const numbers = (record) => record.fields.map((field) => numberIn(field, hasDecimalComma));
  const hasHeader = numbers(records[0]).includes(undefined) && isHeader(records, card, numbers);
  const { places, ignored } = hasHeader
    ? placesOf(records[0].fields.map((field) => field.trim()), card)
    : { places: null, ignored: [] };
  const rows = hasHeader ? records.slice(1) : records;
  if (!rows.length) throw new Unreadable("There is a header, and no row after it.");
  const width = hasHeader ? records[0].fields.length : card.features;
  const read = rows.slice(0, MOST_ROWS).map((record) => {
    checkWidth(record, width, hasHeader, card);
    const values = numbers(record);
    return Array.from({ length: card.features }, (_, index) => {
      const place = places ? places[index] : index;
      if (values[place] !== undefined) return values[place];
      throw new Unreadable(
        `Line ${record.line}, ${quoted(nameOf(card, index))}: ` +
          `expected a number, got ${quoted(record.fields[place])}.`,
      );
    });
  });
  const notes = tooMany(rows.length);
  if (ignored.length) notes.unshift(`Left out, as they are no features: ${list(ignored)}.`);
  return { rows: read, note: notes.join(" ") };
}

// One wrong value in the first of the rows does not make it a header.
function isHeader(records, card, numbers) {
  const names = new Set(card.feature_names ?? []);
  const { fields } = records[0];
  if (fields.some((field) => names.has(field.trim()))) return true;
  return numbers(records[0]).every((value) => value === undefined);
}

function checkWidth(record, width, hasHeader, card) {
  const { length } = record.fields;
  if (length === width) return;
  const advice = hasHeader
    ? `the header has ${counted(width, "column")}`
    : `the model takes ${counted(card.features, "feature")}` +
      (length > width ? "; a header would say which columns they are" : "");
  throw new Unreadable(`Line ${record.line} has ${counted(length, "value")}, but ${advice}.`);
}

// Which column has each feature.
function placesOf(header, card) {
  const names = card.feature_names;
  if (!names) {
    if (header.length !== card.features)
      throw new Unreadable(
        `The model does not name its features, so there must be ${card.features} columns; ` +
          `there are ${header.length}.`,
      );
    return { places: null, ignored: [] };
  }
  const columns = new Map(header.map((name, place) => [name, place]));
  const missing = names.filter((name) => !columns.has(name));
  if (missing.length) throw new Unreadable(`The header lacks these features: ${list(missing)}.`);
  const known = new Set(names);
  const twice = header.filter((name, place) => known.has(name) && columns.get(name) !== place);
  if (twice.length) throw new Unreadable(`The header names these columns twice: ${list(twice)}.`);
  return {
    places: names.map((name) => columns.get(name)),
    ignored: header.filter((name) => !known.has(name)),
  };
}

function separatorOf(text) {
  const [bare] = text.replace(/"[^"]*"/g, "").trimStart().split(/[\r\n]/, 1);
  return ["\t", ";"].find((each) => bare.includes(each)) ?? ",";
}

// RFC 4180: quotes around a field, doubled inside; line ends of any kind; no empty lines.
function recordsOf(text, separator) {
  const pattern = / *"([^"]*(?:""[^"]*)*)" *|[^\r\n]*?/;
  const end = separator === "\t" ? "\\t" : separator;
  const field = new RegExp(`(?:${pattern.source})(${end}|\\r\\n|\\n|\\r|$)`, "y");
  const records = [];
  let [fields, line, first] = [[], 1, 1];
  while (field.lastIndex < text.length || fields.length) {
    const found = field.exec(text);
    if (!found) break;
    const [whole, inQuotes, after] = found;
    fields.push(inQuotes?.replaceAll('""', '"') ?? whole.slice(0, whole.length - after.length));
    line += whole.split(/\r\n|\n|\r/).length - 1;
    if (after === separator) continue;
    if (fields.length > 1 || fields[0].trim()) records.push({ fields, line: first });
    [fields, first] = [[], line];
  }
  return records;
}
