// The points of panels.EmbeddingMap: an SVG that mouse and keyboard can walk through.
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 640, HEIGHT = 380, EDGE = 14;

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

function render({ model, el }) {
  const svg = make("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "group",
    "aria-label": "Map of texts. Tab goes from point to point, Enter chooses one.",
  });
  svg.style.width = "100%";
  const legend = document.createElement("div");
  el.append(legend, svg);

  function choose(place) {
    model.set("chosen", place);
    model.save_changes();
  }

  function draw() {
    const lit = new Set(model.get("lit"));
    const groups = model.get("groups");
    legend.textContent = groups.map((g) => `${"●■▲"[g.shape]} ${g.name}`).join("   ");
    const focused = svg.querySelector(":focus")?.dataset.place;
    svg.replaceChildren();
    model.get("points").forEach((point, place) => {
      const group = groups[point.group];
      const x = EDGE + point.x * (WIDTH - 2 * EDGE);
      const y = EDGE + (1 - point.y) * (HEIGHT - 2 * EDGE);
      const mark = shape(group.shape, x, y, lit.has(place) ? 8 : 5);
      mark.setAttribute("fill", group.colour);
      mark.setAttribute("fill-opacity", lit.size && !lit.has(place) ? 0.35 : 0.9);
      mark.setAttribute("stroke", lit.has(place) ? "currentColor" : "none");
      mark.setAttribute("stroke-width", 2);
      mark.setAttribute("tabindex", 0);
      mark.setAttribute("role", "button");
      mark.setAttribute("aria-label", `${group.name}: ${point.label}`);
      mark.dataset.place = place;
      mark.style.cursor = "pointer";
      const title = make("title", {});
      title.textContent = point.label;
      mark.append(title);
      mark.addEventListener("click", () => choose(place));
      mark.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          choose(place);
        }
      });
      svg.append(mark);
      if (String(place) === focused) mark.focus();
    });
  }

  model.on("change:lit", draw);
  model.on("change:points", draw);
  draw();
}

export default { render };
