// A digit as the training data has it: 32 × 32 points of ink, counted in squares of 4 × 4.

export const SIDE = 8;
const FINE = 4;
const POINTS = SIDE * FINE;

/** The most that a pixel can say: each of its points has ink. */
export const MOST = FINE * FINE;

// In points; a pen is about this wide where digits are as high as the picture.
const RADIUS = 2.6;

/** What is drawn on top of 64 pixels. */
export function drawing() {
  let base = new Array(SIDE * SIDE).fill(0);
  let ink = new Uint8Array(POINTS * POINTS);
  return {
    /** Begins with these pixels; text and what is out of range are taken for the nearest. */
    begin(pixels) {
      base = Array.from(base, (_, i) => Math.min(MOST, Math.max(0, Number(pixels[i]) || 0)));
      ink = new Uint8Array(POINTS * POINTS);
    },
    /** Draws a line; x and y of both ends are 0…1, from the left and from the top. */
    line(from, to) {
      const length = Math.hypot(to[0] - from[0], to[1] - from[1]) * POINTS;
      const stamps = Math.ceil(length * 2) || 1;
      for (let i = 0; i <= stamps; i += 1)
        stamp(ink, ...[0, 1].map((axis) => from[axis] + ((to[axis] - from[axis]) * i) / stamps));
    },
    /** Pixels, from the top left, 0…16. */
    pixels: () => base.map((value, i) => Math.min(MOST, value + inkOf(ink, i))),
  };
}

function stamp(ink, x, y) {
  const [column, row] = [x * POINTS, y * POINTS];
  const near = (center) => [
    Math.max(0, Math.floor(center - RADIUS)),
    Math.min(POINTS - 1, Math.ceil(center + RADIUS)),
  ];
  const [top, bottom] = near(row);
  const [left, right] = near(column);
  for (let i = top; i <= bottom; i += 1)
    for (let j = left; j <= right; j += 1)
      if (Math.hypot(i + 0.5 - row, j + 0.5 - column) <= RADIUS) ink[i * POINTS + j] = 1;
}

function inkOf(ink, pixel) {
  const top = Math.floor(pixel / SIDE) * FINE;
  const left = (pixel % SIDE) * FINE;
  let count = 0;
  for (let i = top; i < top + FINE; i += 1)
    for (let j = left; j < left + FINE; j += 1) count += ink[i * POINTS + j];
  return count;
}
