// Where in a request an error is: JSON Pointers (RFC 6901). Pure functions.

/** Parts of a pointer after `/inputs`; null for a pointer to something else. */
export function partsOf(pointer) {
  const [root, first, ...rest] = pointer.split("/");
  if (root !== "" || first !== "inputs") return null;
  return rest.map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** Index of the feature that the last part of a pointer names, else -1. */
export function featureAt(pointer, card) {
  const last = partsOf(pointer)?.at(-1);
  if (last === undefined) return -1;
  const named = card.feature_names?.indexOf(last) ?? -1;
  const index = /^\d+$/.test(last) ? Number(last) : -1;
  if (index >= 0 && index < card.features) return index;
  return named;
}
