"use strict";
(function () {
  const specs = JSON.parse(document.getElementById("charts").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const drawn = new Set();

  function themed(value, style) {
    if (typeof value === "string" && value[0] === "@") return style.getPropertyValue("--" + value.slice(1)).trim();
    if (Array.isArray(value)) return value.map((item) => themed(item, style));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, themed(item, style)]));
    }
    return value;
  }

  function draw(element) {
    const spec = specs[element.id];
    if (!spec) return;
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue("--" + name).trim();
    const figure = themed({ data: spec.data, layout: spec.layout }, style);
    const axis = { gridcolor: colour("line"), linecolor: colour("line"), zerolinecolor: colour("faint"), tickfont: { color: colour("muted") } };
    const layout = Object.assign({ showlegend: false }, figure.layout, {
      xaxis: Object.assign({}, axis, figure.layout.xaxis),
      yaxis: Object.assign({}, axis, figure.layout.yaxis),
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: style.getPropertyValue("--font"), size: 11.5, color: colour("ink") },
      hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink") } },
      autosize: true,
    });
    Plotly.react(element, figure.data, layout, { responsive: true, displayModeBar: false });
    drawn.add(element);
  }

  const places = Array.from(document.querySelectorAll(".chart"));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        seen.unobserve(entry.target);
        draw(entry.target);
      }
    }
  }, { rootMargin: "400px" });
  places.forEach((place) => seen.observe(place));
  dark.addEventListener("change", () => drawn.forEach(draw));
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((part) => { part.open = true; });
    places.filter((place) => !drawn.has(place)).forEach(draw);
  });
})();
