// What a card says about gradients, in sentences.
import { shown } from "./dom.js";

// Below this part of the last layer's gradient, the first learns next to nothing.
const HARDLY = 0.05;

const BOUNDS = {
  sigmoid: "at most 1/4",
  tanh: "at most 1",
  relu: "1, or 0 where a unit is off",
  "the identity": "1",
};

/** Writes a number in three digits. */
export const few = (value) => shown(Number(value.toPrecision(3)));

const list = (names) =>
  [...new Set(names)].join(", ").replace(/\bnone\b/, "the identity");
const hidden = ({ layers }) => layers.flatMap(({ activation }) => activation ?? []);

/** Sentences about the chosen model, true of it. */
export function facts(card) {
  const functions = hidden(card);
  if (!functions.length)
    return [`${card.name} has no hidden layer: nothing stands between features and logits, `
      + "and no gradient has to pass a function."];
  if (!card.depth?.length)
    return [`The server does not compute what gradients do in ${card.name}: it is too large, `
      + "or a number in it overflows."];
  const text = [slopes(card, functions)];
  if (functions.length > 1) text.push(arrives(card), moral(card, functions));
  else text.push("With one hidden layer the gradient passes one function: nothing to multiply.");
  return card.training ? [...text, trained(card.training)] : text;
}

function slopes({ depth }, functions) {
  const derivatives = depth.map(({ derivative }) => derivative);
  const ends = [Math.min(...derivatives), Math.max(...derivatives)].map(few);
  const range = ends[0] === ends[1] ? ends[0] : `${ends[0]} to ${ends[1]}`;
  const names = list(functions);
  const bound = BOUNDS[names] ? `is ${BOUNDS[names]}` : "depends on its input";
  const sentence = `The derivative of ${names} ${bound}; in this model it is ${range} on average.`;
  if (functions.length === 1) return sentence;
  return `${sentence} A gradient that met only the functions of these ${depth.length} layers `
    + `would be ${few(depth[0].product)} times as large.`;
}

function ratioOf(first, last) {
  return last > 0 ? first / last : null;
}

function arrives({ depth, training }) {
  const ratio = ratioOf(depth[0].gradient, depth.at(-1).gradient);
  if (ratio === null) return "No gradient arrives at all: every function is flat here.";
  const size = `${few(ratio)} times that of the last hidden layer`;
  if (ratio < HARDLY)
    return `With the weights, the gradient at the first layer is ${size}: hardly anything arrives, `
      + `and what does not arrive is not learnt${STARTS[training?.init] ?? ""}.`;
  return `With the weights, the gradient at the first layer is ${size}: `
    + `the weights make up for what the functions take.`;
}

const STARTS = { default: ". The weights began as PyTorch draws them by default" };

function moral({ training }, functions) {
  const isSigmoid = functions.every((name) => name === "sigmoid");
  if (!isSigmoid)
    return "In a stack of sigmoids each layer would take three quarters or more.";
  const cure = "weights drawn larger by the sigmoid's slope cure it (train with init sigmoid";
  const own = training?.init === "sigmoid" ? ", as this model was)." : ").";
  return "So the sigmoid does not help against vanishing gradients, it causes them: with PyTorch's "
    + `default weights hardly anything reaches the first of many layers; ${cure}${own}`;
}

function trained({ gradient_norms_initial: before }) {
  const ratio = ratioOf(before[0], before.at(-1));
  if (ratio === null) return "Before the first step of training the gradient was 0.";
  return "Before the first step of training, the norm of the first layer's gradient was "
    + `${few(ratio)} times the last layer's.`;
}
