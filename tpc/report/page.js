"use strict";
// A click on a node of the graph shows its formula and its line below, and marks both on the page.
const places = JSON.parse(document.getElementById("places").textContent);
const shown = document.getElementById("shown");

function unmark() {
  for (const element of document.querySelectorAll(".chosen")) element.classList.remove("chosen");
}

function show(k) {
  const place = places[k];
  unmark();
  shown.replaceChildren();
  const close = document.createElement("button");
  close.textContent = "×";
  close.addEventListener("click", () => { shown.hidden = true; unmark(); });
  shown.append(close);
  const label = document.createElement("pre");
  label.textContent = place.label;
  shown.append(label);
  const line = place.line && document.getElementById("line-" + place.line);
  if (line) {
    line.classList.add("chosen");
    const copy = document.createElement("pre");
    copy.append(...line.cloneNode(true).childNodes);
    shown.append(copy);
  }
  const formula = place.formula && document.getElementById(place.formula);
  if (formula) {
    formula.classList.add("chosen");
    for (const part of formula.children) shown.append(part.cloneNode(true));
  }
  document.getElementById("node-" + k).classList.add("chosen");
  shown.hidden = false;
}

for (const element of document.querySelectorAll('.graph [id^="node-"]')) {
  const k = Number(element.id.split("-")[1]);
  element.addEventListener("click", () => show(k));
}

// The graph fits the page. Buttons, or the wheel with Ctrl, zoom into it, and dragging moves it.
const frame = document.querySelector(".graph");
const drawing = frame && frame.querySelector("svg");
if (drawing) {
  const whole = drawing.viewBox.baseVal, fit = [whole.x, whole.y, whole.width, whole.height];
  let view = [...fit], held = null;

  const look = () => {
    for (const k of [0, 1]) view[k] = Math.min(Math.max(view[k], fit[k]), fit[k] + fit[k + 2] - view[k + 2]);
    drawing.setAttribute("viewBox", view.join(" "));
  };
  const zoom = (factor, x, y) => {
    const scale = Math.min(Math.max(factor, 200 / view[2]), fit[2] / view[2]);
    view = [view[0] + x * view[2] * (1 - scale), view[1] + y * view[3] * (1 - scale), view[2] * scale, view[3] * scale];
    look();
  };
  // where something is in the drawing, as parts of its sides
  const place = (event) => {
    const box = drawing.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };

  const [nearer, farther, all] = frame.querySelectorAll("button");
  nearer.addEventListener("click", () => zoom(1 / 1.5, 0.5, 0.5));
  farther.addEventListener("click", () => zoom(1.5, 0.5, 0.5));
  all.addEventListener("click", () => { view = [...fit]; look(); });
  drawing.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(Math.exp(event.deltaY / 300), ...place(event));
  }, { passive: false });
  drawing.addEventListener("pointerdown", (event) => { held = place(event); });
  window.addEventListener("pointerup", () => { held = null; });
  drawing.addEventListener("pointermove", (event) => {
    if (!held) return;
    const now = place(event);
    for (const k of [0, 1]) view[k] -= (now[k] - held[k]) * view[k + 2];
    held = now;
    look();
  });
}
