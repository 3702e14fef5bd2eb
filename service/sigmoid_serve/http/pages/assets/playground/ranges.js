// What the card says about the values of each feature. Pure functions.

// Without quantiles, this many standard deviations around the mean.
const DEVIATIONS = 3;

/** Per feature `{min, max, quantiles, decimals}`, or null where nothing is known. */
export function rangesOf(card) {
  const { quantiles, scaler, features } = card;
  return Array.from({ length: features }, (_, index) => {
    const known = quantiles?.[index];
    if (known) return rangeOf(known[0], known.at(-1), known);
    if (!scaler) return null;
    const [mean, reach] = [scaler.mean[index], DEVIATIONS * scaler.scale[index]];
    const { decimals } = rangeOf(mean - reach, mean + reach, null);
    const rounded = (value) => Number(value.toFixed(decimals));
    return { min: rounded(mean - reach), max: rounded(mean + reach), quantiles: null, decimals };
  });
}

function rangeOf(min, max, quantiles) {
  const isWhole = quantiles?.every(Number.isInteger);
  const fine = Math.ceil(Math.log10(500 / (max - min)));
  const decimals = isWhole || !(max > min) ? 0 : Math.min(Math.max(fine, 0), 100);
  return { min, max, quantiles, decimals };
}

/** The value at a place of a range (0 to 1), as a reader would write it. */
export function valueAt({ min, max, decimals }, place) {
  return within({ min, max }, Number((min + place * (max - min)).toFixed(decimals)));
}

/** The nearest value of a range. */
export const within = ({ min, max }, value) => Math.min(Math.max(value, min), max);

/** Where a value is in a range, 0 to 1; beyond it, at its end. */
export function placeOf({ min, max }, value) {
  return max > min ? (within({ min, max }, value) - min) / (max - min) : 0.5;
}

/** Whether a value is outside the rows that the network was trained on. */
export const isOutside = (range, value) =>
  Boolean(range?.quantiles) && (value < range.min || value > range.max);

/** The row that the form begins with: a real one, else the middle of what is known. */
export function firstRow(card) {
  if (card.examples?.length) return [...card.examples[0]];
  return rangesOf(card).map((range) => {
    if (range?.quantiles) return quantileAt(range, 0.5);
    return range ? valueAt(range, 0.5) : 0;
  });
}

/** Another of the card's examples; without any, a row drawn from the quantiles. */
export function randomRow(card, current) {
  const others = (card.examples ?? []).filter((each) => String(each) !== String(current));
  if (others.length) return [...others[Math.floor(Math.random() * others.length)]];
  if (card.examples?.length) return [...card.examples[0]];
  return rangesOf(card).map((range) => quantileAt(range, Math.random()));
}

function quantileAt({ min, max, quantiles, decimals }, probability) {
  const place = probability * (quantiles.length - 1);
  const [low, high] = [quantiles[Math.floor(place)], quantiles[Math.ceil(place)]];
  const value = low + (place % 1) * (high - low);
  return within({ min, max }, Number(value.toFixed(decimals)));
}
