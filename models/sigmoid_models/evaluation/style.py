"""The style of a report: light or dark as the reader has it, wide or narrow."""

from typing import Final

STYLE: Final = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #1a1d23; --muted: #5a6270;
  --line: #dfe3e8; --warn: #8a4b00; --warn-page: #fff4e0; --warn-line: #f0c27a;
  --series-0: #0b68b5; --series-1: #c8500a; --series-2: #00805d; --series-3: #b0508a;
  --series-4: #9a6b00; --series-5: #2f8fc4; --series-6: #6b4ca0; --series-7: #70757d;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14161a; --card: #1d2026; --ink: #e8eaee; --muted: #a3abb8;
    --line: #343944; --warn: #ffc977; --warn-page: #33270f; --warn-line: #6b5120;
    --series-0: #5fb0f5; --series-1: #ff9a5c; --series-2: #45c9a0;
    --series-3: #e895c4; --series-4: #e3b84e; --series-5: #8fd3f7;
    --series-6: #b79cf0; --series-7: #b4bac4;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1.25rem 3rem; }
h1 { margin: 0; font-size: 1.75rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 2.25rem 0 0.75rem; font-size: 1.2rem; }
p { margin: 0.25rem 0; }
.muted, footer, figcaption { color: var(--muted); }
.small, footer, figcaption { font-size: 0.875rem; }
.card, figure, .tile {
  background: var(--card); border: 1px solid var(--line); border-radius: 0.625rem;
}
.warnings {
  margin: 1.25rem 0 0; padding: 0.75rem 1rem; border: 1px solid var(--warn-line);
  border-radius: 0.625rem; background: var(--warn-page); color: var(--warn);
}
.warnings ul { margin: 0.25rem 0 0; padding-left: 1.2rem; }
.warnings li { margin: 0.25rem 0; overflow-wrap: anywhere; }
.tiles {
  display: grid; gap: 0.75rem; margin-top: 1.25rem;
  grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr));
}
.tile { padding: 0.75rem 1rem; }
.tile b {
  display: block; font-size: 1.6rem; line-height: 1.3; font-weight: 600;
  font-variant-numeric: tabular-nums;
}
.card { overflow-x: auto; margin-top: 0.5rem; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: 0.45rem 0.75rem; text-align: left; vertical-align: top; }
tr + tr > *, thead + tbody > tr:first-child > * { border-top: 1px solid var(--line); }
thead th { color: var(--muted); font-size: 0.875rem; font-weight: 500; }
tbody th { font-weight: 500; }
th.name {
  position: sticky; left: 0; min-width: 5.5rem; max-width: 16rem;
  overflow-wrap: anywhere; background: var(--card);
}
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.matrix { width: auto; min-width: 40%; }
.matrix thead .number { max-width: 7rem; overflow: hidden; text-overflow: ellipsis; }
.matrix td {
  background: color-mix(in srgb, var(--series-0) calc(var(--share) * 55%), transparent);
}
.figures {
  display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr));
}
figure { margin: 0; padding: 1rem; min-width: 0; }
figure h3 { margin: 0 0 0.5rem; font-size: 1rem; }
figure svg { display: block; width: 100%; height: auto; }
figure svg * { stroke-linejoin: round; }
figcaption { margin-top: 0.5rem; overflow-wrap: anywhere; }
.legend { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; color: var(--ink); }
.legend i {
  display: inline-block; width: 1.1rem; height: 0.2rem; margin-right: 0.4rem;
  border-radius: 0.1rem; vertical-align: middle;
}
dl { display: grid; grid-template-columns: auto 1fr; gap: 0.3rem 1.25rem; margin: 0; }
.card dl { padding: 0.75rem; }
dt { color: var(--muted); }
dd { margin: 0; overflow-wrap: anywhere; }
footer { margin-top: 2.5rem; }
@media (max-width: 34rem) {
  main { padding: 1.25rem 0.875rem 2rem; }
  .meaning { display: none; }
  th, td { padding: 0.4rem 0.6rem; }
  figure { padding: 0.75rem; }
}
@media print { body { background: none; } figure, .card { break-inside: avoid; } }
"""
