// The lines between both lists, one for each hit.

const SVG = "http://www.w3.org/2000/svg";

function shape(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/** Draw a line for each key: from its card on the left to that on the right, or out of the page. */
export function draw(svg, left, right, ranks) {
  const area = svg.getBoundingClientRect();
  svg.replaceChildren();
  if (!area.width) return;
  svg.setAttribute("viewBox", `0 0 ${area.width} ${area.height}`);
  const height = (item) => {
    const head = item.firstElementChild.getBoundingClientRect();
    return head.top - area.top + head.height / 2;
  };
  const both = [...left.keys()].filter((key) => right.has(key));
  const keys = new Set([...both, ...left.keys(), ...right.keys()]); // labels are drawn last, over lines
  for (const key of keys) {
    const [from, to] = [left.get(key), right.get(key)];
    const places = ranks.get(key);
    const way = places.to === null || places.to > places.from ? "down" : places.to < places.from ? "up" : "same";
    const group = shape("g", { class: `line ${way}`, "data-key": key });
    if (from && to) group.append(...through(height(from), height(to), area.width));
    else if (from) group.append(...stub(height(from), 0, 1, places.to === null ? "removed" : `→ ${places.to}`, area.width));
    else group.append(...stub(height(to), area.width, -1, `${places.from} →`, area.width));
    svg.append(group);
  }
}

function through(start, end, width) {
  const bend = width * 0.5;
  return [
    shape("path", { d: `M4 ${start} C${bend} ${start} ${width - bend} ${end} ${width - 4} ${end}` }),
    shape("circle", { cx: 4, cy: start, r: 3 }),
    shape("circle", { cx: width - 4, cy: end, r: 3 }),
  ];
}

// A hit whose other place is on another page.
function stub(y, x, direction, label, width) {
  const [from, to] = [x + direction * 4, x + direction * width * 0.2];
  return [
    shape("path", { d: `M${from} ${y} L${to} ${y}`, class: "out" }),
    shape("circle", { cx: from, cy: y, r: 3 }),
    shape("text", { x: to + direction * 5, y: y + 4, "text-anchor": direction > 0 ? "start" : "end" }, label),
  ];
}
