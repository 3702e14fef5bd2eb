// What is chosen, and what the server said: all that the parts of the page share.
import { signal } from "./signal.js";

/** Answer of `GET /models`; null before it came. */
export const models = signal(null);

/** `{name, version}` of the chosen model; null before there is one. */
export const chosen = signal(null);

/** Answer of `GET /models/NAME/versions/VERSION`; null while it is fetched. */
export const card = signal(null);

/** Values of the features, in their order; text where the reader typed no number. */
export const row = signal([]);

/** Answer of the last `/predict` of `row`; null where there is none. */
export const answer = signal(null);

/** The `Problem` of the last `/predict` of `row`; null where it succeeded. */
export const problem = signal(null);

/** `{took, served}` of that answer: milliseconds in all, and of them in the server. */
export const timing = signal(null);
