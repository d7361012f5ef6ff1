// A frame to paint the mask on: by mouse, pen, finger or keyboard.

import { element } from "./forms.js";

const KEPT = 30; // strokes that can be undone
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const COLOUR = [255, 122, 0];

export class Brush {
  constructor(box, changed) {
    this.box = box;
    this.changed = changed;
    this.picture = element("canvas");
    this.strokes = element("canvas", { class: "strokes", tabindex: "0", role: "application", "aria-label": "Mask of the frame", "aria-describedby": "brush-keys" });
    this.size = element("input", { type: "range", id: "brush-size", min: "1", max: "100", value: "10" });
    this.told = element("output", { for: "brush-size" });
    this.status = element("p", { class: "hint", role: "status" });
    this.erase = this.button("Erase", () => this.toggle(!this.erasing), true);
    this.back = this.button("Undo", () => this.undo());
    this.empty = this.button("Clear", () => this.clear());
    const size = element("label", { class: "size", for: "brush-size" }, "Brush", this.size, this.told);
    const keys = element("p", { class: "hint", id: "brush-keys" },
      "Paint over what hides the view. By keyboard: arrows move, Shift makes them fine, Space puts the brush down and up, E erases, [ and ] change the size, Ctrl+Z undoes.");
    box.replaceChildren(element("div", { class: "tools" }, size, this.erase, this.back, this.empty),
      element("div", { class: "easel" }, this.picture, this.strokes), this.status, keys);
    this.size.addEventListener("input", () => this.draw());
    this.listen();
  }

  button(words, action, pressed = false) {
    const made = element("button", { type: "button" }, words);
    if (pressed) made.setAttribute("aria-pressed", "false");
    made.addEventListener("click", action);
    return made;
  }

  async load(file) {
    const bitmap = await createImageBitmap(file, { imageOrientation: "none" });
    this.width = bitmap.width;
    this.height = bitmap.height;
    for (const canvas of [this.picture, this.strokes]) Object.assign(canvas, { width: this.width, height: this.height });
    this.picture.getContext("2d").drawImage(bitmap, 0, 0);
    this.mask = new Uint8Array(this.width * this.height);
    this.past = [];
    this.box.querySelector(".easel").style.setProperty("--ratio", String(this.width / this.height));
    const side = Math.min(this.width, this.height);
    this.size.max = String(Math.max(20, Math.round(side / 3)));
    this.size.value = String(Math.max(4, Math.round(side / 15)));
    this.cursor = { x: this.width / 2, y: this.height / 2, down: false, seen: false };
    this.toggle(false);
    this.box.hidden = false;
    this.report();
    this.draw();
  }

  get share() {
    return this.mask ? this.mask.reduce((sum, value) => sum + value, 0) / this.mask.length : 0;
  }

  listen() {
    const at = (event) => {
      const area = this.strokes.getBoundingClientRect();
      return { x: ((event.clientX - area.left) * this.width) / area.width, y: ((event.clientY - area.top) * this.height) / area.height };
    };
    this.strokes.addEventListener("pointerdown", (event) => {
      this.strokes.setPointerCapture(event.pointerId);
      this.begin();
      Object.assign(this.cursor, at(event), { seen: true, pen: true });
      this.line(this.cursor, this.cursor);
    });
    this.strokes.addEventListener("pointermove", (event) => {
      for (const one of event.getCoalescedEvents?.() ?? [event]) {
        const from = { ...this.cursor };
        Object.assign(this.cursor, at(one), { seen: true });
        if (this.cursor.pen) this.line(from, this.cursor);
      }
      this.draw();
    });
    for (const end of ["pointerup", "pointercancel"]) {
      this.strokes.addEventListener(end, () => { this.cursor.pen = false; this.report(); });
    }
    this.strokes.addEventListener("pointerleave", () => { if (!this.cursor.pen) { this.cursor.seen = false; this.draw(); } });
    this.strokes.addEventListener("focus", () => { this.cursor.seen = true; this.draw(); });
    this.strokes.addEventListener("blur", () => { this.cursor.seen = false; this.cursor.down = false; this.draw(); });
    this.strokes.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    const moves = MOVES[event.key], radius = Number(this.size.value) / 2;
    if (moves) {
      const step = event.shiftKey ? 1 : Math.max(2, radius), from = { ...this.cursor };
      this.cursor.x = Math.min(Math.max(this.cursor.x + step * moves[0], 0), this.width);
      this.cursor.y = Math.min(Math.max(this.cursor.y + step * moves[1], 0), this.height);
      if (this.cursor.down) this.line(from, this.cursor);
    } else if (event.key === " ") {
      this.cursor.down = !this.cursor.down;
      if (this.cursor.down) { this.begin(); this.line(this.cursor, this.cursor); }
    } else if (event.key === "e" && !event.ctrlKey && !event.metaKey) this.toggle(!this.erasing);
    else if (event.key === "[" || event.key === "]") this.size.value = String(Number(this.size.value) * (event.key === "]" ? 1.25 : 0.8));
    else if (event.key === "z" && (event.ctrlKey || event.metaKey)) this.undo();
    else return;
    event.preventDefault();
    this.cursor.seen = true;
    this.report();
    this.draw();
  }

  toggle(erasing) {
    this.erasing = erasing;
    this.erase.setAttribute("aria-pressed", String(erasing));
    this.draw();
  }

  begin() {
    this.past.push(this.mask.slice());
    if (this.past.length > KEPT) this.past.shift();
  }

  undo() {
    if (!this.past?.length) return;
    this.mask = this.past.pop();
    this.report();
    this.draw();
  }

  clear() {
    if (!this.mask) return;
    this.begin();
    this.mask.fill(0);
    this.report();
    this.draw();
  }

  // A stroke of the brush: every pixel within its radius of the line.
  line(from, to) {
    const radius = Number(this.size.value) / 2, dx = to.x - from.x, dy = to.y - from.y, length = dx * dx + dy * dy;
    const left = Math.max(0, Math.floor(Math.min(from.x, to.x) - radius)), right = Math.min(this.width, Math.ceil(Math.max(from.x, to.x) + radius));
    const top = Math.max(0, Math.floor(Math.min(from.y, to.y) - radius)), bottom = Math.min(this.height, Math.ceil(Math.max(from.y, to.y) + radius));
    for (let y = top; y < bottom; y += 1) {
      for (let x = left; x < right; x += 1) {
        const px = x + 0.5 - from.x, py = y + 0.5 - from.y;
        const along = length > 0 ? Math.min(Math.max((px * dx + py * dy) / length, 0), 1) : 0;
        if ((px - along * dx) ** 2 + (py - along * dy) ** 2 <= radius * radius) this.mask[y * this.width + x] = this.erasing ? 0 : 1;
      }
    }
    this.draw();
  }

  report() {
    const hidden = this.share;
    this.status.textContent = `${(100 * hidden).toFixed(1)} % of the frame is painted over${this.cursor.down ? "; the brush is down" : ""}.`;
    this.back.disabled = !this.past.length;
    this.empty.disabled = hidden === 0;
    this.changed(hidden);
  }

  draw() {
    this.told.textContent = `${Math.round(Number(this.size.value))} px`;
    if (!this.mask || this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.render(); });
  }

  render() {
    const context = this.strokes.getContext("2d"), image = context.createImageData(this.width, this.height), data = image.data;
    for (let i = 0; i < this.mask.length; i += 1) {
      if (!this.mask[i]) continue;
      data.set(COLOUR, 4 * i);
      data[4 * i + 3] = 150;
    }
    context.putImageData(image, 0, 0);
    if (!this.cursor.seen) return;
    const { x, y } = this.cursor, shown = this.width / (this.strokes.getBoundingClientRect().width || this.width);
    for (const [colour, width] of [["#000", 3], [this.erasing ? "#fff" : "#ffd9b0", 1.5]]) {
      context.strokeStyle = colour;
      context.lineWidth = width * shown;
      context.beginPath();
      context.arc(x, y, Number(this.size.value) / 2, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  // The mask as a PNG, white where it hides.
  png() {
    const canvas = element("canvas", { width: this.width, height: this.height }), context = canvas.getContext("2d");
    const image = context.createImageData(this.width, this.height);
    for (let i = 0; i < this.mask.length; i += 1) image.data.set([255 * this.mask[i], 255 * this.mask[i], 255 * this.mask[i], 255], 4 * i);
    context.putImageData(image, 0, 0);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  }
}
