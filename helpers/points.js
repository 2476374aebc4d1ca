// The points of panels.EmbeddingMap: an SVG that mouse and keyboard can walk through.
// One stop of the Tab key for the whole map (a roving tabindex); arrow keys go on from there.
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 640, HEIGHT = 380, EDGE = 14;
// The colours have their contrast with white, so the map is white on a dark page too.
const INK = "#111", GROUND = "#fff";

function shape(kind, x, y, r) {
  if (kind === 0) return make("circle", { cx: x, cy: y, r });
  if (kind === 1) return make("rect", { x: x - r, y: y - r, width: 2 * r, height: 2 * r });
  return make("polygon", { points: `${x},${y - r} ${x + r},${y + r} ${x - r},${y + r}` });
}

function make(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

// Where a key leads from a place: left and right in the order of x, up and down in that of y, so
// that every point can be reached. The same place where the key leads nowhere.
export function step(points, place, key) {
  const [axis, way] = {
    ArrowLeft: ["x", -1], ArrowRight: ["x", 1], ArrowDown: ["y", -1], ArrowUp: ["y", 1],
    Home: ["x", -Infinity], End: ["x", Infinity],
  }[key];
  const order = points.map((_, i) => i).sort((a, b) => points[a][axis] - points[b][axis] || a - b);
  const next = Math.max(0, Math.min(order.length - 1, order.indexOf(place) + way));
  return order[next];
}

function drawLegend(legend, groups) {
  legend.replaceChildren(...groups.flatMap((group) => {
    const mark = document.createElement("span");
    mark.textContent = "●■▲"[group.shape];
    mark.style.color = group.colour;
    return [mark, ` ${group.name}   `];
  }));
}

function render({ model, el }) {
  const frame = document.createElement("div");
  Object.assign(frame.style, { background: GROUND, color: INK, padding: "4px" });
  const legend = document.createElement("div");
  legend.style.whiteSpace = "pre-wrap";
  const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "group" });
  svg.style.width = "100%";
  frame.append(legend, svg);
  el.append(frame);
  let current = 0; // the point that Tab comes to

  function choose(place) {
    go(place, false);
    model.set("chosen", place);
    model.save_changes();
  }

  function go(place, focus) {
    svg.children[current]?.setAttribute("tabindex", -1);
    current = place;
    svg.children[current]?.setAttribute("tabindex", 0);
    if (focus) svg.children[current]?.focus();
  }

  function obey(event, place) {
    if (event.key === "Enter" || event.key === " ") choose(place);
    else if (/^(Arrow(Left|Right|Up|Down)|Home|End)$/.test(event.key)) {
      go(step(model.get("points"), place, event.key), true);
    } else return;
    event.preventDefault();
    event.stopPropagation(); // the notebook has arrow keys of its own
  }

  function draw() {
    const lit = new Set(model.get("lit")), groups = model.get("groups");
    const points = model.get("points");
    const hadFocus = svg.contains(document.activeElement);
    current = Math.min(current, Math.max(0, points.length - 1));
    svg.setAttribute("aria-label", `Map of ${points.length} texts by meaning. Arrow keys go from `
      + "point to point, Enter chooses one and lights its neighbours.");
    drawLegend(legend, groups);
    svg.replaceChildren(...points.map((point, place) => {
      const group = groups[point.group], isLit = lit.has(place);
      const x = EDGE + point.x * (WIDTH - 2 * EDGE);
      const y = EDGE + (1 - point.y) * (HEIGHT - 2 * EDGE);
      const mark = shape(group.shape, x, y, isLit ? 8 : 5);
      for (const [key, value] of Object.entries({
        fill: group.colour, "fill-opacity": lit.size && !isLit ? 0.15 : 0.9,
        stroke: isLit ? INK : group.colour, "stroke-width": isLit ? 2.5 : 1.2,
        tabindex: place === current ? 0 : -1, role: "button", "aria-pressed": isLit,
        "aria-label": `${group.name}: ${point.label}`, "data-place": place,
      })) mark.setAttribute(key, value);
      mark.style.cursor = "pointer";
      const title = make("title", {});
      title.textContent = point.label;
      mark.append(title);
      mark.addEventListener("click", () => choose(place));
      mark.addEventListener("keydown", (event) => obey(event, place));
      mark.addEventListener("focus", () => {
        if (place !== current) go(place, false);
        mark.style.outline = `2px dashed ${INK}`;
        mark.style.outlineOffset = "3px";
      });
      mark.addEventListener("blur", () => { mark.style.outline = "none"; });
      return mark;
    }));
    if (hadFocus) svg.children[current]?.focus();
  }

  model.on("change:lit", draw);
  model.on("change:points", draw);
  draw();
}

export default { render };
