// Three jobs in three tabs: files and options in, progress, images and files out.

import * as api from "./api.js";
import { Brush } from "./brush.js";
import { element, Fields } from "./forms.js";
import { Viewer } from "./viewer.js";

const JOBS = {
  recon: {
    tab: "Reconstruct a scan", role: "scan", several: true,
    lead: "Undersampled k-space in, an image out: fastMRI, ISMRMRD, BART, Siemens twix, NumPy, MATLAB or HDF5.",
    drop: "Drop a scan, or choose one", empty: "The zero-filled image, the reconstruction and its spread will stand here side by side.",
  },
  restore: {
    tab: "Restore an image", role: "image",
    lead: "A noisy, coarse, blurred or grey image in, the restored one out.",
    drop: "Drop an image, or choose one", empty: "The image as it was given, the restored one and its spread will stand here side by side.",
  },
  inpaint: {
    tab: "Fill a frame", role: "frame",
    lead: "Paint over what hides the view; the fill is imagined, what you leave stays as it is.",
    drop: "Drop a frame, or choose one", empty: "Choose a frame, and paint on it here.",
  },
};
const ENDED = ["done", "failed", "cancelled"];

const size = (bytes) => (bytes > 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.max(1, Math.round(bytes / 1e3))} kB`);
function time(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

// The end of a file's name that says what it is; of the longest that are known, as .nii.gz.
function suffix(name, known) {
  const fits = known.filter((one) => name.toLowerCase().endsWith(one)).sort((a, b) => b.length - a.length);
  return fits[0] ?? (name.includes(".") ? name.slice(name.lastIndexOf(".")) : "");
}

class Panel {
  constructor(kind, told) {
    this.kind = kind;
    this.words = JOBS[kind];
    this.known = told.files[this.words.role];
    this.section = document.getElementById("panel").content.firstElementChild.cloneNode(true);
    this.section.id = `panel-${kind}`;
    this.section.setAttribute("aria-labelledby", `tab-${kind}`);
    this.find(".setup h2").textContent = this.words.tab;
    this.find(".setup .lead").textContent = this.words.lead;
    this.find(".empty p").textContent = this.words.empty;
    this.find("textarea").id = `${kind}-more`;
    this.fields = new Fields(this.section, kind, told.fields);
    this.viewer = new Viewer(this.find(".viewer"), kind);
    this.files = [];
    this.drop();
    if (kind === "inpaint") this.brush = new Brush(this.find(".paint"), () => {});
    const sample = this.find(".sample");
    sample.hidden = kind !== "recon";
    sample.addEventListener("click", () => this.run(true));
    this.find("form").addEventListener("submit", (event) => { event.preventDefault(); this.run(false); });
    this.find(".cancel").addEventListener("click", () => this.cancel());
  }

  find(selector) {
    return this.section.querySelector(selector);
  }

  drop() {
    const input = element("input", { type: "file", id: `${this.kind}-file`, accept: this.known.join(","), multiple: Boolean(this.words.several) });
    this.name = element("strong", {}, this.words.drop);
    this.ends = element("span", {}, this.known.join(" "));
    const label = element("label", { class: "drop", for: input.id }, input, this.name, this.ends);
    input.addEventListener("change", () => this.choose([...input.files]));
    for (const kind of ["dragenter", "dragover"]) label.addEventListener(kind, (event) => { event.preventDefault(); label.classList.add("over"); });
    for (const kind of ["dragleave", "drop"]) label.addEventListener(kind, () => label.classList.remove("over"));
    label.addEventListener("drop", (event) => { event.preventDefault(); this.choose([...event.dataTransfer.files]); });
    this.find(".drops").append(label);
  }

  async choose(files) {
    this.files = files;
    this.fail(null);
    if (!files.length) return;
    this.name.textContent = files.map((file) => file.name).join(", ");
    this.ends.textContent = `${size(files.reduce((sum, file) => sum + file.size, 0))}, choose another to replace it`;
    if (!this.brush) return;
    try {
      await this.brush.load(files[0]);
      this.find(".empty").hidden = true;
      this.viewer.clear();
      for (const part of [".job", ".saves"]) this.find(part).hidden = true;
    } catch {
      this.files = [];
      this.fail("this file is no picture that the browser can show; give a png or jpg");
    }
  }

  fail(sentence) {
    const error = this.find(".error");
    error.textContent = sentence ?? "";
    error.hidden = !sentence;
  }

  busy(is) {
    this.find(".primary[type=submit]").disabled = is;
    this.find(".sample").disabled = is;
    this.find(".cancel").hidden = !is;
    this.section.setAttribute("aria-busy", String(is));
  }

  say(words, share) {
    const bar = this.find("progress");
    this.find(".said").textContent = words;
    if (share === null) bar.removeAttribute("value");
    else bar.value = share;
  }

  async parts(sample) {
    if (sample) return [];
    if (!this.files.length) throw new Error(`choose a ${this.words.role} first`);
    const parts = this.files.map((file) => ({ role: this.words.role, end: suffix(file.name, this.known), file }));
    if (!this.brush) return parts;
    if (!this.brush.share) throw new Error("nothing is painted over; paint on what hides the view first");
    return [...parts, { role: "mask", end: ".png", file: await this.brush.png() }];
  }

  async run(sample) {
    this.fail(null);
    try {
      const parts = await this.parts(sample);
      this.busy(true);
      await this.leave();
      this.abort = new AbortController();
      this.find(".empty").hidden = true;
      this.find(".saves").hidden = true;
      this.find(".job").hidden = false;
      this.find("progress").hidden = false;
      this.find(".log pre").textContent = "";
      this.viewer.clear();
      this.say("Sending the file …", 0);
      const { id } = await api.create(this.kind);
      this.id = id;
      for (const { role, end, file } of parts) {
        await api.upload(id, role, end, file, (share) => this.say(`Sending the ${role}: ${Math.round(100 * share)} %`, share), this.abort.signal);
      }
      await api.start(id, this.fields.values(), this.find("textarea").value, sample);
      this.say("Starting …", null);
      this.find(".job").scrollIntoView({ block: "nearest" });
      await this.follow();
    } catch (error) {
      if (error.name !== "AbortError") this.fail(error.message);
      this.find(".job").hidden = error.name !== "AbortError";
      if (error.name === "AbortError") this.say("Cancelled.", 0);
      await this.leave();
    } finally {
      this.busy(false);
    }
  }

  // Forgets the job before, whose files are removed.
  async leave() {
    if (!this.id) return;
    const id = this.id;
    this.id = null;
    await api.remove(id).catch(() => {});
  }

  async cancel() {
    this.abort?.abort();
    this.say("Cancelling …", null);
    if (this.id) await api.cancel(this.id).catch(() => {});
  }

  async follow() {
    for (;;) {
      const job = await api.look(this.id);
      this.find(".log pre").textContent = job.lines.join("\n");
      this.viewer.set(job);
      if (ENDED.includes(job.state)) return this.end(job);
      const { done, total, left } = job.progress;
      if (job.state === "waiting") this.say("Waiting for the job before …", null);
      else if (!total) this.say("Reading and preparing …", null);
      else if (done >= total) this.say("Finishing …", null);
      else this.say(`${Math.round((100 * done) / total)} % done${left === null ? "" : `, about ${time(left)} left`}`, done / total);
      await new Promise((resolve) => setTimeout(resolve, 400));
    }
  }

  end(job) {
    const bar = this.find("progress");
    bar.hidden = job.state !== "done";
    if (job.state === "failed") this.fail(job.error);
    this.say({ done: "Done.", failed: "It failed.", cancelled: "Cancelled." }[job.state], job.state === "done" ? 1 : 0);
    if (job.state !== "done") return;
    const all = this.find(".saves a");
    all.href = `/api/jobs/${job.id}/results.zip`;
    all.textContent = `All files, with how they were made (${size(job.results.reduce((sum, file) => sum + file.bytes, 0))})`;
    this.find(".saves ul").replaceChildren(...job.results.map((file) => element("li", {},
      element("a", { href: `/api/jobs/${job.id}/results/${encodeURIComponent(file.name)}`, download: "" }, file.name), ` ${size(file.bytes)}`)));
    this.find(".saves").hidden = false;
  }
}

function tabs(panels) {
  const list = document.getElementById("tabs");
  const made = panels.map((panel) => element("button", { type: "button", role: "tab", id: `tab-${panel.kind}`, "aria-controls": panel.section.id }, panel.words.tab));
  const choose = (chosen) => made.forEach((tab, at) => {
    tab.setAttribute("aria-selected", String(at === chosen));
    tab.tabIndex = at === chosen ? 0 : -1;
    panels[at].section.hidden = at !== chosen;
  });
  made.forEach((tab, at) => {
    tab.addEventListener("click", () => choose(at));
    tab.addEventListener("keydown", (event) => {
      const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: made.length - 1 }[event.key];
      if (next === undefined) return;
      event.preventDefault();
      const to = (next + made.length) % made.length;
      choose(to);
      made[to].focus();
    });
  });
  list.append(...made);
  choose(0);
}

async function begin() {
  const work = document.getElementById("work");
  try {
    const told = await api.about();
    document.getElementById("version").textContent = told.version;
    document.getElementById("notice").textContent = told.notice;
    const panels = Object.keys(JOBS).map((kind) => new Panel(kind, told.kinds[kind]));
    work.append(...panels.map((panel) => panel.section));
    tabs(panels);
    for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());
    document.body.dataset.ready = "true";
  } catch (error) {
    work.append(element("p", { class: "error", role: "alert" }, error.message));
  }
}

begin();
