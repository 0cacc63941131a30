// Finds out what this service has and starts the sections for it.

import { call, element, keep } from "./api.js";
import * as denoise from "./denoise.js";
import * as generate from "./generate.js";
import * as plane from "./plane.js";
import * as recommend from "./recommend.js";

const SECTIONS = { recommend, denoise, plane, generate };

async function ready() {
  const status = document.getElementById("status");
  try {
    const { models } = await (await call("readyz")).json();
    status.textContent = `Ready with ${models.length} models.`;
    status.className = "status good";
  } catch (error) {
    status.textContent = error.message;
    status.className = "status bad";
  }
}

// Models that do all tasks of a section, the default of its last one first.
function fitting(models, tasks) {
  const loaded = models.filter((model) => tasks.every((task) => model.tasks.includes(task)));
  const rank = (model) => (model.default_for.includes(tasks.at(-1)) ? 0 : 1);
  return loaded.sort((a, b) => rank(a) - rank(b));
}

async function begin() {
  await ready();
  let models;
  try {
    ({ models } = await (await call("v1/models")).json());
  } catch {
    return; // the field for the key has appeared
  }
  document.getElementById("key").hidden = true;
  for (const [id, { start, ordered = (choices) => choices }] of Object.entries(SECTIONS)) {
    const section = document.getElementById(id);
    const choices = await ordered(fitting(models, section.dataset.task.split(" ")));
    section.hidden = !choices.length;
    document.querySelector(`nav a[href="#${id}"]`).hidden = !choices.length;
    if (!choices.length) continue;
    const select = section.querySelector(".model select");
    select.replaceChildren(...choices.map((model) => element("option", { value: model.name }, model.name)));
    const changed = start(section, () => select.value);
    select.addEventListener("change", changed);
  }
}

document.getElementById("key").addEventListener("submit", (event) => {
  event.preventDefault();
  keep(document.getElementById("key-value").value);
  begin();
});
begin();
