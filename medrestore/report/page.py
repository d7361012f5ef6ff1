"""The style sheet and the script of the report."""

from .palettes import COLOURS, GREYS

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #fafaf8; --surface: #ffffff; --ink: #1c2329; --muted: #5a6570; --line: #dfe3e6; --accent: #0f5f8c; --best: #e8f1f6;
  LIGHT
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif;
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #131619; --surface: #1a1e22; --ink: #e3e7ea; --muted: #9aa5af; --line: #2d343a; --accent: #74b9e4; --best: #20303a;
    DARK
  }
}
:root:has(#palette-grey:checked) { GREY_LIGHT }
:root:has(#palette-grey:checked) :is(img[alt^="Error of"], .scale img) { filter: grayscale(1); }
@media (prefers-color-scheme: dark) { :root:has(#palette-grey:checked) { GREY_DARK } }
* { box-sizing: border-box; }
html { background: var(--ground); color: var(--ink); font: 16px/1.55 var(--sans); -webkit-text-size-adjust: 100%; }
body { max-width: 1320px; margin: 0 auto; padding: 0 clamp(16px, 4vw, 48px) 48px; }
h1, h2, h3, h4, p { margin: 0; text-wrap: pretty; overflow-wrap: anywhere; }
h1 { font-size: clamp(1.6rem, 1.2rem + 1.6vw, 2.3rem); line-height: 1.2; font-weight: 650; letter-spacing: -0.015em; }
h2 { font-size: 1.4rem; font-weight: 650; letter-spacing: -0.01em; margin-bottom: 20px; }
h3 { font-size: 1.02rem; font-weight: 620; margin-bottom: 8px; }
h4 { font-size: 0.92rem; font-weight: 620; line-height: 1.3; }
h2, h3 { scroll-margin-top: 16px; }
a { color: var(--accent); text-underline-offset: 0.2em; }
.anchor { color: var(--muted); text-decoration: none; font-weight: 400; opacity: 0; padding: 0 0.2em; }
:is(h2, h3):hover .anchor, .anchor:focus-visible { opacity: 1; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 2px; }
.top { padding: clamp(28px, 6vw, 64px) 0 0; }
.summary { max-width: 70ch; margin-top: 14px; font-size: 1.06rem; }
.summary p + p { margin-top: 0.7em; }
.notice { margin-top: 18px; color: var(--muted); font-size: 0.9rem; }
nav { display: flex; flex-wrap: wrap; gap: 4px 24px; margin-top: 24px; padding: 10px 0; border-block: 1px solid var(--line); }
nav a { text-decoration: none; }
nav a:hover { text-decoration: underline; }
.palettes { border: 0; margin: 14px 0 0; padding: 0; display: flex; flex-wrap: wrap; gap: 4px 18px; color: var(--muted);
  font-size: 0.88rem; }
.palettes legend { float: left; padding: 0; margin-right: 18px; }
.palettes label { display: flex; gap: 7px; align-items: center; }
.palettes input { accent-color: var(--accent); margin: 0; }
.part { margin-top: 52px; }
.note { color: var(--muted); font-size: 0.9rem; max-width: 80ch; }
footer { margin-top: 64px; padding-top: 16px; border-top: 1px solid var(--line); color: var(--muted); font-size: 0.9rem; }

.tabled + .tabled { margin-top: 36px; }
.scroll { overflow-x: auto; width: fit-content; max-width: 100%; background: var(--surface); border: 1px solid var(--line);
  border-radius: 8px; }
table { border-collapse: separate; border-spacing: 0; font-size: 0.92rem; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 16px; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--line); }
tbody tr:last-child > * { border-bottom: 0; }
thead th { color: var(--muted); font-weight: 560; font-size: 0.86rem; vertical-align: bottom; }
tbody th { font-weight: 500; }
.again th { color: var(--muted); font-weight: 400; }
.parted > * { border-top: 1.5px solid var(--muted); }
th:first-child { position: sticky; left: 0; background: var(--surface); }
.number { text-align: right; }
tbody tr:hover > * { background: color-mix(in srgb, var(--surface), var(--accent) 6%); }
td strong { font-weight: 700; background: var(--best); border-radius: 4px; padding: 2px 6px; margin: 0 -6px; }
u { text-underline-offset: 0.22em; text-decoration-thickness: 1px; }

.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 32px; align-items: start; }
figure { margin: 0; min-width: 0; }
.plot { background: var(--surface); border: 1px solid var(--line); border-radius: 8px; padding: 18px 20px 14px;
  max-width: 760px; }
.axis { color: var(--muted); font-size: 0.84rem; }
.axis.below { text-align: center; }
.chart svg { display: block; stroke-linejoin: round; width: 100%; height: auto; overflow: visible; }
.chart text { font-family: var(--sans) !important; }
.keys { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 12px 0 8px; padding: 0; font-size: 0.88rem; }
.keys li { display: flex; align-items: center; gap: 7px; overflow-wrap: anywhere; }
.swatch { width: 28px; height: 10px; flex: none; }
details { font-size: 0.88rem; }
summary { color: var(--muted); cursor: pointer; width: fit-content; }
details .scroll { margin-top: 8px; max-height: 320px; overflow-y: auto; }

.picture + .picture { margin-top: 60px; }
.columns { display: grid; gap: 0 12px; margin-top: 16px;
  grid-template-columns: repeat(auto-fill, minmax(max(min(100%, var(--tile)), 99% / var(--across) - 12px), 1fr)); }
.column { display: grid; grid-row: span 4; grid-template-rows: subgrid; align-content: start; row-gap: 0; margin-bottom: 20px; }
.column header { align-self: end; padding-bottom: 6px; }
.column header p { color: var(--muted); font-size: 0.82rem; line-height: 1.35; font-variant-numeric: tabular-nums; }
.view { position: relative; background: #000; border-radius: 4px; overflow: hidden; }
.view img { display: block; width: 100%; height: auto; }
.sharp, .sharp img, .magnified img { image-rendering: pixelated; }
.box { position: absolute; outline: 1.5px solid #ffd84d; box-shadow: 0 0 0 2.5px rgb(0 0 0 / 0.45); }
figcaption { color: var(--muted); font-size: 0.76rem; line-height: 1.3; padding: 3px 0 8px; }
.scale img { display: block; width: 100%; height: 14px; border-radius: 4px; image-rendering: auto; }
.scale p { display: flex; justify-content: space-between; gap: 12px; font-size: 0.78rem; line-height: 1.3; margin-top: 4px;
  font-variant-numeric: tabular-nums; }
.scale p span:last-child { text-align: right; }

.compare { max-width: var(--widest); margin-top: 8px; }
.choices { display: flex; justify-content: space-between; gap: 16px; margin: 8px 0; }
.compare label { font-size: 0.88rem; color: var(--muted); min-width: 0; }
.choices label:last-child { text-align: right; }
select { display: block; font: inherit; color: var(--ink); background: var(--surface); border: 1px solid var(--line);
  border-radius: 6px; padding: 5px 8px; max-width: 100%; }
.magnify { display: flex; gap: 7px; align-items: center; margin: 6px 0 2px; width: fit-content; }
.stage { position: relative; aspect-ratio: var(--shape); overflow: hidden; background: #000; border-radius: 6px;
  cursor: ew-resize; touch-action: pan-y; user-select: none; --split: 50%; }
.layer { position: absolute; inset: 0; overflow: hidden; }
.layer img { display: block; width: 100%; height: 100%; transform-origin: 0 0; pointer-events: none; }
.layer.over { clip-path: inset(0 0 0 var(--split)); }
.magnified img { transform: scale(var(--times)) translate(var(--left), var(--top)); }
.edge { position: absolute; inset-block: 0; left: var(--split); width: 2px; margin-left: -1px; background: #ffd84d;
  box-shadow: 0 0 0 1px rgb(0 0 0 / 0.4); pointer-events: none; }
input[type="range"] { display: block; width: 100%; margin: 10px 0 4px; accent-color: var(--accent); }
input[type="checkbox"] { accent-color: var(--accent); margin: 0; }

dl { margin: 0; font-size: 0.92rem; }
.provenance > dl { background: var(--surface); border: 1px solid var(--line); border-radius: 8px; padding: 6px 20px; }
dl > div { display: grid; grid-template-columns: minmax(120px, 14rem) minmax(0, 1fr); gap: 2px 24px; padding: 8px 0;
  border-bottom: 1px solid var(--line); }
dl > div:last-child { border-bottom: 0; }
dt { color: var(--muted); overflow-wrap: anywhere; }
dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
dd > dl > div { padding: 0 0 4px; border: 0; grid-template-columns: minmax(90px, 9rem) minmax(0, 1fr); }
dd ul { margin: 0; padding-left: 1.2em; }
pre { margin: 0; font: 0.84rem/1.5 var(--mono); white-space: pre-wrap; overflow-wrap: anywhere; }

@media (max-width: 640px) {
  html { font-size: 15px; }
  .part { margin-top: 40px; }
  .columns { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0 8px; }
  .plot { padding: 14px 12px 10px; }
  .chart text { font-size: 13px !important; }
  th, td { padding: 6px 10px; }
  th:first-child { min-width: min(40vw, 8.5em); max-width: 44vw; white-space: normal; }
  dl > div { grid-template-columns: minmax(0, 1fr); }
}
@media print {
  :root { --ground: #fff; --surface: #fff; --ink: #000; --muted: #444; --line: #ccc; --accent: #000; --best: #eee; }
  html { font-size: 10.5pt; }
  body { max-width: none; padding: 0; }
  .view, .scale img, td strong { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  nav, .palettes, .compare, .anchor, details { display: none; }
  .plot, .column, .note, tr, dl > div { break-inside: avoid; }
  h2, h3, .picture > .note { break-after: avoid; }
  .columns { grid-template-columns: repeat(var(--across), minmax(0, 1fr)); gap: 0 6px; }
  .plots { grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr)); gap: 12px; }
  th:first-child { position: static; }
  .scroll { overflow: visible; }
  th, td { white-space: normal; padding: 4px 8px; }
}
"""
for name, palette, colours in (("GREY_LIGHT", GREYS, GREYS.light), ("GREY_DARK", GREYS, GREYS.dark),
                               ("LIGHT", COLOURS, COLOURS.light), ("DARK", COLOURS, COLOURS.dark)):
    STYLE = STYLE.replace(name, palette.style(colours))

SCRIPT = """
"use strict";
for (const compare of document.querySelectorAll(".compare")) {
  const stage = compare.querySelector(".stage");
  const layers = [...stage.querySelectorAll("img")];
  const choices = [...compare.querySelectorAll("select")];
  const range = compare.querySelector("input[type=range]");
  const magnify = compare.querySelector("input[type=checkbox]");
  const place = () => {
    stage.style.setProperty("--split", range.value + "%");
    range.setAttribute("aria-valuetext", range.value + " % of the left image");
  };
  const choose = () => choices.forEach((choice, side) => {
    const source = document.getElementById(choice.value);
    layers[side].src = source.src;
    layers[side].alt = source.alt;
  });
  const zoom = () => stage.classList.toggle("magnified", magnify.checked);
  const follow = (event) => {
    const area = stage.getBoundingClientRect();
    range.value = 100 * (event.clientX - area.left) / area.width;
    place();
  };
  stage.addEventListener("pointerdown", (event) => { stage.setPointerCapture(event.pointerId); follow(event); });
  stage.addEventListener("pointermove", (event) => { if (stage.hasPointerCapture(event.pointerId)) follow(event); });
  range.addEventListener("input", place);
  choices.forEach((choice) => choice.addEventListener("change", choose));
  magnify.addEventListener("change", zoom);
  for (const start of [choose, place, zoom]) start();  // a reload may have kept other values than the page's own
  compare.hidden = false;
}
document.body.dataset.ready = "true";
"""
