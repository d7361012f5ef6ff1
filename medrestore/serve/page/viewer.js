// Images side by side under one window and level; a slider over slices.

import { pixels } from "./api.js";
import { element } from "./forms.js";

const TITLES = { "zero-filled": "Zero-filled", given: "Given", restored: "Restored", spread: "Spread", reference: "Reference" };
const ORDER = ["zero-filled", "given", "restored", "spread", "reference"];
// Cividis (Nunez et al., 2018), readable with every kind of colour vision, at five places.
const CIVIDIS = [[0, 32, 76], [63, 76, 107], [124, 123, 120], [186, 173, 100], [255, 233, 69]];

function cividis(share) {
  const place = Math.min(Math.max(share, 0), 0.9999) * 4, below = Math.floor(place), part = place - below;
  return CIVIDIS[below].map((low, k) => low + part * (CIVIDIS[below + 1][k] - low));
}

const shown = (value) => (Math.abs(value) >= 1000 || (value !== 0 && Math.abs(value) < 0.01) ? value.toExponential(2) : value.toPrecision(3));

export class Viewer {
  constructor(box, id) {
    this.box = box;
    this.name = id;
    this.cache = new Map();
    this.images = element("div", { class: "images" });
    this.sliders = element("div", { class: "sliders" });
    this.slice = this.slider("Slice", 0, 0, 1);
    this.slice.input.addEventListener("input", () => { this.chosen = true; });
    this.level = this.slider("Level", 0, 100, 0.5);
    this.window = this.slider("Window", 1, 200, 0.5);
    const reset = element("button", { type: "button" }, "Reset");
    reset.addEventListener("click", () => this.reset());
    this.sliders.append(reset);
    const hint = element("p", { class: "hint" }, "Drag over an image: right and left for the window, up and down for the level.");
    box.replaceChildren(this.images, this.sliders, hint);
  }

  slider(label, min, max, step) {
    const id = `${this.name}-${label.toLowerCase()}`;
    const input = element("input", { type: "range", id, min: String(min), max: String(max), step: String(step) });
    const output = element("output", { for: id });
    const row = element("label", { for: id }, element("span", {}, `${label} `, output), input);
    input.addEventListener("input", () => this.draw());
    this.sliders.append(row);
    return { input, output, row };
  }

  clear() {
    this.job = null;
    this.box.hidden = true;
  }

  // Shows the views of a job; those that come later are added.
  set(job) {
    if (this.job === null || this.job === undefined || this.job.id !== job.id) {
      this.cache.clear();
      this.titles = [];
      this.drawn = 0;
      this.chosen = false;
    }
    const more = job.views.length !== this.drawn;
    this.job = job;
    if (!job.views.length || !more) return;
    this.drawn = job.views.length;
    this.numbers = [...new Set(job.views.map((view) => view.number))].sort((a, b) => a - b);
    const titles = ORDER.filter((title) => job.views.some((view) => view.title === title));
    if (titles.join() !== this.titles.join()) this.build(titles);
    this.slice.row.hidden = this.numbers.length < 2;
    this.slice.input.max = String(this.numbers.length - 1);
    if (!this.chosen) this.slice.input.value = String(Math.floor(this.numbers.length / 2)); // the middle one
    this.box.hidden = false;
    if (!this.range) this.reset();
    this.draw();
  }

  build(titles) {
    this.titles = titles;
    this.range = null;
    this.slice.input.max = "0";
    this.canvases = titles.map((title) => {
      const canvas = element("canvas", { role: "img" });
      const note = element("span");
      this.drag(canvas);
      return { title, canvas, note, figure: element("figure", {}, canvas, element("figcaption", {}, TITLES[title], note)) };
    });
    this.images.style.setProperty("--across", String(Math.min(titles.length, 3)));
    this.images.replaceChildren(...this.canvases.map((one) => one.figure));
  }

  // Black and white of all images but the spread: the range of the restored ones.
  limits() {
    const of = this.job.views.filter((view) => view.title === "restored");
    const low = Math.min(0, ...of.map((view) => view.low));
    return { low, high: Math.max(...of.map((view) => view.high), low + 1e-30) };
  }

  reset() {
    this.range = this.limits();
    this.level.input.value = "50";
    this.window.input.value = "100";
    this.draw();
  }

  drag(canvas) {
    let from = null;
    canvas.addEventListener("pointerdown", (event) => {
      from = { x: event.clientX, y: event.clientY, level: Number(this.level.input.value), window: Number(this.window.input.value) };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!from || !canvas.hasPointerCapture(event.pointerId)) return;
      const side = canvas.getBoundingClientRect().width;
      this.window.input.value = String(from.window + (120 * (event.clientX - from.x)) / side);
      this.level.input.value = String(from.level - (80 * (event.clientY - from.y)) / side);
      this.draw();
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { from = null; });
  }

  async draw() {
    if (!this.job || !this.range) return;
    const number = this.numbers[Number(this.slice.input.value)];
    const { low, high } = this.limits(), span = high - low;
    const centre = low + (Number(this.level.input.value) / 100) * span, width = (Number(this.window.input.value) / 100) * span;
    this.slice.output.textContent = `${Number(this.slice.input.value) + 1} of ${this.numbers.length}`;
    this.level.output.textContent = shown(centre);
    this.window.output.textContent = shown(width);
    const job = this.job;
    await Promise.all(this.canvases.map(async (one) => {
      const at = job.views.findIndex((view) => view.title === one.title && view.number === number);
      one.figure.hidden = at < 0;
      if (at < 0) return;
      const view = job.views[at], values = await this.values(job.id, at, view);
      if (this.job?.id !== job.id || this.numbers[Number(this.slice.input.value)] !== number) return;
      const spread = one.title === "spread";
      const black = spread ? 0 : centre - width / 2, white = spread ? Math.max(...job.views.filter((v) => v.title === "spread").map((v) => v.high), 1e-30) : centre + width / 2;
      one.note.textContent = spread ? `0 to ${shown(white)}` : `${shown(black)} to ${shown(white)}`;
      one.canvas.setAttribute("aria-label", `${TITLES[one.title]}, slice ${number + 1} of ${this.numbers.length}`);
      paint(one.canvas, view, values, black, white, spread);
    }));
  }

  async values(id, at, view) {
    const key = `${id}/${at}`;
    if (!this.cache.has(key)) this.cache.set(key, pixels(id, at, view));
    if (this.cache.size > 120) this.cache.delete(this.cache.keys().next().value);
    return this.cache.get(key);
  }
}

function paint(canvas, view, values, black, white, coloured) {
  const { height, width, channels } = view;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.classList.toggle("sharp", width < 400);
  const context = canvas.getContext("2d"), image = context.createImageData(width, height), data = image.data;
  const scale = 255 / Math.max(white - black, 1e-30);
  for (let i = 0; i < width * height; i += 1) {
    const at = 4 * i;
    if (coloured) {
      const colour = cividis(((values[i] - black) * scale) / 255);
      data[at] = colour[0]; data[at + 1] = colour[1]; data[at + 2] = colour[2];
    } else {
      for (let k = 0; k < 3; k += 1) data[at + k] = (values[channels === 3 ? 3 * i + k : i] - black) * scale;
    }
    data[at + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}
