// Photographs: one is chosen or dropped, cleaned, and shown before and after.

import { call, Fault, newest, show, tell } from "./api.js";

const KINDS = ["image/png", "image/jpeg", "image/webp"]; // TIFF is cleaned as well, but no browser shows it

export function start(section, model) {
  const get = (id) => section.querySelector(`#${id}`);
  const versus = get("versus"), before = get("before"), after = get("after"), drop = get("drop");
  const latest = newest(section), facts = newest(section);
  let photo, name, result;

  function clean() {
    if (!photo) return;
    const strength = get("auto").checked || get("auto").disabled ? "auto" : get("strength").value;
    const query = new URLSearchParams({ model: model(), strength, amount: get("amount").value });
    const accept = photo.type === "image/jpeg" ? "image/jpeg" : "image/png";
    if (accept === "image/jpeg") query.set("quality", "95");
    const output = `clean.${accept.slice(6)}`;
    tell(section, `v1/denoise?${query}`, { file: name, type: photo.type, accept, output });
    latest(async (signal) => {
      versus.classList.add("busy");
      get("noise").textContent = "Cleaning …";
      const begun = performance.now();
      try {
        const answer = await call(`v1/denoise?${query}`, { body: photo, accept, signal });
        const blob = await answer.blob();
        if (signal.aborted) return;
        URL.revokeObjectURL(result);
        result = URL.createObjectURL(blob);
        after.src = get("keep").href = result;
        get("keep").download = output;
        get("keep").hidden = false;
        const level = answer.headers.get("X-Noise-Level");
        const took = ((performance.now() - begun) / 1000).toFixed(1);
        get("noise").textContent = level
          ? `Noise of ${Number(level).toFixed(1)} on the scale from 0 to 255, gone in ${took} seconds.`
          : `Cleaned in ${took} seconds.`;
      } catch (error) {
        if (!signal.aborted) get("noise").textContent = "";
        throw error;
      } finally {
        if (!signal.aborted) versus.classList.remove("busy");
      }
    });
  }

  async function take(file, called) {
    if (!file) return;
    if (!KINDS.includes(file.type)) return show(section, new Fault(0, `${called} is no PNG, JPEG or WebP.`));
    URL.revokeObjectURL(before.src);
    [photo, name] = [file, called];
    before.src = after.src = URL.createObjectURL(file);
    get("keep").hidden = true;
    versus.hidden = false;
    clean();
  }

  before.addEventListener("load", () => {
    // A small photograph is not blown up, and a tall one stays on the screen.
    const tall = (0.75 * innerHeight * before.naturalWidth) / before.naturalHeight;
    versus.style.maxWidth = `${Math.min(Math.max(before.naturalWidth, 480), tall)}px`;
  });
  get("line").addEventListener("input", (event) => versus.style.setProperty("--at", `${event.target.value}%`));
  get("photo").addEventListener("change", (event) => take(event.target.files[0], event.target.files[0]?.name));
  get("asters").addEventListener("click", async () => {
    try {
      await take(await (await call("page/asters.webp", { accept: "image/webp" })).blob(), "asters.webp");
    } catch (error) {
      show(section, error);
    }
  });
  get("auto").addEventListener("change", (event) => {
    get("strength").disabled = event.target.checked;
    clean();
  });
  for (const id of ["strength", "amount"]) {
    const output = section.querySelector(`output[for=${id}]`);
    get(id).addEventListener("input", (event) => (output.textContent = event.target.value));
    get(id).addEventListener("change", clean);
  }
  for (const kind of ["dragenter", "dragover"]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer.files[0], event.dataTransfer.files[0]?.name);
  });
  // Some models find out for themselves what is wrong, and take no strength.
  async function renew() {
    await facts(async (signal) => {
      const about = await (await call(`v1/models/${encodeURIComponent(model())}`, { signal })).json();
      const strongest = about.tasks.find((task) => task.task === "denoise").sigma_max;
      get("auto").disabled = strongest === null;
      get("strength").disabled = strongest === null || get("auto").checked;
      get("strength").max = strongest ?? 75;
    });
    clean();
  }
  renew();
  return renew;
}
