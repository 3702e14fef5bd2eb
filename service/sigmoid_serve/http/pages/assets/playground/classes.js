// What an answer says of one row, class by class. Pure functions.

/** The classes of an answer for one row: name, probability, threshold, whether chosen. */
export function classesOf(said, { task, classes, thresholds }) {
  return said.probabilities.map((probability, i) => {
    const name = said.classes?.[i] ?? (task === "binary" ? "1" : String(i));
    const threshold = task === "multiclass" ? null : (thresholds?.[i] ?? 0.5);
    const negative = classes?.[0] ?? 0;
    const isChosen = {
      binary: () => said.labels !== negative,
      multilabel: () => said.labels[i] === true,
      multiclass: () => String(said.labels) === name,
    }[task]();
    return { name, probability, threshold, isChosen };
  });
}

/** Names of the classes that a row got. */
export const namesOf = (classes) =>
  classes.filter(({ isChosen }) => isChosen).map(({ name }) => name).join(", ");
