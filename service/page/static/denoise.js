// Photographs: one is chosen or dropped, cleaned, and shown before and after.

import { call, command, download, factsOf, Fault, newest, show, tell } from "./api.js";

const KINDS = ["image/png", "image/jpeg", "image/webp"]; // TIFF is cleaned as well, but no browser shows it
const SAMPLE = "page/asters.webp";

export function start(section, model) {
  const get = (id) => section.querySelector(`#${id}`);
  const versus = get("versus"), before = get("before"), after = get("after"), drop = get("drop");
  const latest = newest(section), facts = newest(section);
  let photo, name, first, result;

  function clean() {
    if (!photo) return;
    const strength = get("auto").checked || get("auto").disabled ? "auto" : get("strength").value;
    const query = new URLSearchParams({ model: model(), strength, amount: get("amount").value });
    const accept = photo.type === "image/jpeg" ? "image/jpeg" : "image/png";
    if (accept === "image/jpeg") query.set("quality", "95");
    const output = `clean.${accept.slice(6)}`;
    tell(section, first, command(`v1/denoise?${query}`, { file: name, type: photo.type, accept, output }));
    latest(async (signal) => {
      wait(true);
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
        const took = `in ${((performance.now() - begun) / 1000).toFixed(1)} seconds`;
        get("noise").textContent =
          strength === "auto" && level
            ? `Noise of ${Number(level).toFixed(1)} on the scale from 0 to 255, gone ${took}.`
            : strength === "auto" ? `Cleaned ${took}.` : `Cleaned at strength ${strength} ${took}.`;
      } catch (error) {
        if (!signal.aborted) forget();
        throw error;
      } finally {
        if (!signal.aborted) wait(false);
      }
    });
  }

  function wait(waits) {
    versus.classList.toggle("busy", waits);
    get("stop").hidden = !waits;
    const size = before.naturalWidth ? ` ${((before.naturalWidth * before.naturalHeight) / 1e6).toFixed(1)} megapixels` : "";
    if (waits) get("noise").textContent = `Cleaning${size} …`;
  }

  // Nothing stands beside what could not be cleaned.
  function forget() {
    photo = undefined;
    versus.hidden = get("keep").hidden = true;
    get("noise").textContent = "";
  }

  function take(file, called, how) {
    if (!file) return;
    latest();
    wait(false);
    if (!KINDS.includes(file.type)) {
      forget();
      return show(section, new Fault(0, `${called} is no PNG, JPEG or WebP.`));
    }
    URL.revokeObjectURL(before.src);
    [photo, name, first] = [file, called, how];
    before.src = after.src = URL.createObjectURL(file);
    get("keep").hidden = true;
    versus.hidden = false;
    before.decode().catch(() => {}).then(clean); // what a browser cannot read is still for the service to judge
  }

  before.addEventListener("load", () => {
    // A small photograph is not blown up, and a tall one stays on the screen.
    const tall = (0.75 * innerHeight * before.naturalWidth) / before.naturalHeight;
    versus.style.maxWidth = `${Math.min(Math.max(before.naturalWidth, 480), tall)}px`;
  });
  get("line").addEventListener("input", (event) => versus.style.setProperty("--at", `${event.target.value}%`));
  get("photo").addEventListener("change", (event) => {
    take(event.target.files[0], event.target.files[0]?.name);
    event.target.value = ""; // the same one may be chosen again
  });
  get("asters").addEventListener("click", async () => {
    try {
      take(await (await call(SAMPLE, { accept: "image/webp" })).blob(), "asters.webp", download(SAMPLE));
    } catch (error) {
      show(section, error);
    }
  });
  get("stop").addEventListener("click", () => {
    latest();
    wait(false);
    get("noise").textContent = "Stopped.";
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
      const { sigma_max: strongest } = await factsOf(model(), "denoise", signal);
      get("auto").disabled = strongest === null;
      get("strength").disabled = strongest === null || get("auto").checked;
      get("strength").max = strongest ?? 75;
    });
    clean();
  }
  return renew;
}
