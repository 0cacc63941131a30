// Photographs: one is chosen or dropped, cleaned, and shown before and after.

import { call, newest, tell } from "./api.js";

const KINDS = ["image/png", "image/jpeg", "image/webp", "image/tiff"];

export function start(section, model) {
  const get = (id) => section.querySelector(`#${id}`);
  const versus = get("versus"), before = get("before"), after = get("after"), drop = get("drop");
  const latest = newest(section);
  let photo, name, urls = [];

  function clean() {
    if (!photo) return;
    const strength = get("auto").checked ? "auto" : get("strength").value;
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
        const result = URL.createObjectURL(await answer.blob());
        if (signal.aborted) return URL.revokeObjectURL(result);
        urls.push(result);
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
    const fault = section.querySelector(".fault");
    if (!KINDS.includes(file.type)) {
      fault.textContent = `${called} is no PNG, JPEG, WebP or TIFF.`;
      fault.hidden = false;
      return;
    }
    urls.forEach((url) => URL.revokeObjectURL(url));
    urls = [URL.createObjectURL(file)];
    [photo, name] = [file, called];
    before.src = after.src = urls[0];
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
    const file = await (await fetch("page/asters.webp")).blob();
    await take(file, "asters.webp");
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
  return clean;
}
