// Samples of a generator, by class and seed.

import { call, command, element, factsOf, newest, tell } from "./api.js";

const COUNT = 24;
const SEEDS = 2 ** 31;

export function start(section, model) {
  const get = (id) => section.querySelector(`#${id}`);
  const latest = newest(section), facts = newest(section);

  function draw() {
    if (!get("seed").reportValidity()) return;
    const json = { model: model(), seed: Number(get("seed").value), count: COUNT };
    if (get("class").value) json.class = get("class").value;
    if (get("truncation").value !== "1") json.truncation = Number(get("truncation").value);
    tell(section, command("v1/generate", { json, accept: "application/zip", output: "samples.zip" }));
    return latest(async (signal) => {
      get("samples").classList.add("busy");
      try {
        const { images } = await (await call("v1/generate", { body: json, signal })).json();
        if (signal.aborted) return;
        const named = get("class").value || "sample";
        get("samples").replaceChildren(
          ...images.map((image, place) =>
            element("img", {
              src: `data:image/png;base64,${image}`,
              alt: `${named}, seed ${json.seed + place}`,
              title: `seed ${json.seed + place}`,
            }),
          ),
        );
        get("drawn").textContent = `${images.length} pictures, of the seeds ${json.seed} to ${json.seed + COUNT - 1}.`;
      } finally {
        if (!signal.aborted) get("samples").classList.remove("busy");
      }
    });
  }

  function offer(classes) {
    const any = element("option", { value: "" }, "any");
    get("class").replaceChildren(any, ...classes.map((name) => element("option", { value: name }, name)));
    get("class").disabled = !classes.length;
  }

  async function renew() {
    offer([]); // those of another model
    const known = await facts(async (signal) => {
      const { classes } = await factsOf(model(), "generate", signal);
      if (!signal.aborted) offer(classes);
    });
    if (known) await draw();
  }

  get("class").addEventListener("change", draw);
  get("seed").addEventListener("change", draw);
  get("truncation").addEventListener("input", () => {
    section.querySelector("output[for=truncation]").textContent = get("truncation").value;
  });
  get("truncation").addEventListener("change", draw);
  get("dice").addEventListener("click", () => {
    get("seed").value = Math.floor(Math.random() * SEEDS);
    draw();
  });
  return renew;
}
