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
