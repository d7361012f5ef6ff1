// Fields of a job, as the server describes them, and what was filled in.

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key in made && typeof value !== "string") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function control(field, id) {
  if (field.switch) return element("input", { type: "checkbox", id });
  if (field.choices.length) {
    const named = field.name === "prior" && field.default === "auto" ? "chosen by the image" : field.default;
    const empty = field.default === null ? (field.name === "task" ? "choose" : "none") : null;
    const select = element("select", { id });
    if (empty) select.append(element("option", { value: "" }, empty));
    if (field.default === "auto") select.append(element("option", { value: "" }, named));
    for (const choice of field.choices) {
      select.append(element("option", { value: choice, selected: choice === field.default }, field.words[choice] || choice));
    }
    return select;
  }
  const input = element("input", { type: "text", id, autocomplete: "off", spellcheck: false });
  if (field.default !== null) input.placeholder = String(field.default);
  return input;
}

export class Fields {
  constructor(panel, kind, fields) {
    this.fields = fields.map((field) => {
      const id = `${kind}-${field.name}`;
      const input = control(field, id);
      const label = element("label", { for: id });
      label.append(...(field.switch ? [input, field.label] : [field.label, input]));
      const box = element("div", { class: field.switch ? "field tick" : "field" }, label);
      if (field.hint) {
        input.setAttribute("aria-describedby", `${id}-hint`);
        box.append(element("small", { id: `${id}-hint` }, field.hint));
      }
      panel.querySelector(field.rarely ? ".rarely" : ".fields").append(box);
      input.addEventListener("change", () => this.settle());
      return { ...field, input, box };
    });
    this.settle();
  }

  value(field) {
    return field.switch ? field.input.checked : field.input.value.trim();
  }

  // Shows the fields that go with what is chosen.
  settle() {
    const chosen = new Set();
    for (const field of this.fields) {
      const value = this.value(field);
      if (value !== "" && value !== false) chosen.add(field.name).add(value);
    }
    for (const field of this.fields) field.box.hidden = field.only.length > 0 && !field.only.some((one) => chosen.has(one));
  }

  // Name to value of all fields that are shown and filled in.
  values() {
    const given = {};
    for (const field of this.fields) {
      const value = this.value(field);
      if (!field.box.hidden && value !== "" && value !== false) given[field.name] = value;
    }
    return given;
  }
}
