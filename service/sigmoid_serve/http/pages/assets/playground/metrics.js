// The text of /metrics, and what happened between two of them.

const LINE = /^(\w+)(?:\{(.*)\})? (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;
const COUNTER = /_(total|bucket|count|sum)$/;

const unescape = (text) => text.replace(/\\(.)/g, (_, each) => (each === "n" ? "\n" : each));

/** Samples by their series: `{name, labels, value}`. */
export function parse(text) {
  const samples = new Map();
  for (const line of text.split("\n")) {
    const [, name, inside = "", value] = LINE.exec(line) ?? [];
    if (!name) continue;
    const pairs = [...inside.matchAll(LABEL)].map(([, label, said]) => [label, unescape(said)]);
    const sample = { name, labels: Object.fromEntries(pairs), value: Number(value) };
    samples.set(`${name}{${inside}}`, sample);
  }
  return samples;
}

/** How much the counters grew, never negative: a counter that went back began at 0 again. */
export function growth(before, after) {
  const counters = [...after].filter(([, { name }]) => COUNTER.test(name));
  const isNew = counters.some(([series, { value }]) => value < before.get(series)?.value);
  return counters.map(([series, sample]) => {
    const start = isNew ? 0 : (before.get(series)?.value ?? 0);
    return { ...sample, value: sample.value - start };
  });
}

/** Sum of the samples of a family whose labels `isMeant`. */
export function total(samples, family, isMeant = () => true) {
  let sum = 0;
  for (const { name, labels, value } of samples)
    if (name === family && isMeant(labels)) sum += value;
  return sum;
}

/** Buckets of a histogram, `[upper bound, count in this bucket]`, upwards, of all its series. */
export function buckets(samples, family, isMeant = () => true) {
  const upTo = new Map();
  for (const { name, labels, value } of samples)
    if (name === `${family}_bucket` && isMeant(labels)) {
      const bound = labels.le === "+Inf" ? Infinity : Number(labels.le);
      upTo.set(bound, (upTo.get(bound) ?? 0) + value);
    }
  const sorted = [...upTo].sort(([a], [b]) => a - b);
  return sorted.map(([bound, count], i) => [bound, count - (i ? sorted[i - 1][1] : 0)]);
}

/** Quantile, taken evenly within its bucket; null where nothing was counted. */
export function quantile(counted, part) {
  let left = part * counted.reduce((sum, [, count]) => sum + count, 0);
  if (!left) return null;
  let lower = 0;
  for (const [upper, count] of counted) {
    if (count >= left) return upper === Infinity ? lower : lower + ((upper - lower) * left) / count;
    left -= count;
    lower = upper;
  }
  return lower;
}

/** Buckets of several stretches of time as one; one without a series has none. */
export function together(several) {
  const counted = several.filter((each) => each.length);
  const sumAt = (i) => counted.reduce((sum, each) => sum + each[i][1], 0);
  return (counted[0] ?? []).map(([bound], i) => [bound, sumAt(i)]);
}
