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
