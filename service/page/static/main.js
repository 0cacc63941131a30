// Finds out what this service has and starts the sections for it.

import { call, element, keep, show } from "./api.js";
import * as denoise from "./denoise.js";
import * as generate from "./generate.js";
import * as plane from "./plane.js";
import * as recommend from "./recommend.js";

const SECTIONS = { recommend, denoise, plane, generate };
const AGAIN = 3000;
const form = document.getElementById("key");
let filled;

function tell(text, kind) {
  const status = document.getElementById("status");
  status.textContent = text;
  status.className = `status ${kind}`;
}

async function begin() {
  let ready, models;
  try {
    ({ models: ready } = await (await call("readyz")).json());
    ({ models } = await (await call("v1/models")).json());
  } catch (error) {
    tell(error.message, "bad");
    if (form.hidden) setTimeout(begin, AGAIN);
    return;
  }
  form.hidden = true;
  filled ??= Promise.all(
    Object.entries(SECTIONS).map(([id, section]) => fill(document.getElementById(id), section, models)),
  );
  await filled;
  tell(`Ready with ${ready.length} models.`, "good");
}

async function fill(section, { start, ordered = (choices) => choices }, models) {
  const tasks = section.dataset.task.split(" ");
  const rank = (model) => (model.default_for.includes(tasks.at(-1)) ? 0 : 1);
  const fitting = models.filter((model) => tasks.every((task) => model.tasks.includes(task)));
  if (!fitting.length) return;
  section.hidden = false;
  document.querySelector(`nav a[href="#${section.id}"]`).hidden = false;
  try {
    const choices = await ordered(fitting.sort((a, b) => rank(a) - rank(b)));
    const select = section.querySelector(".model select");
    select.replaceChildren(...choices.map((model) => element("option", { value: model.name }, model.name)));
    const renew = start(section, () => select.value);
    select.addEventListener("change", renew);
    await renew();
  } catch (error) {
    show(section, error);
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  try {
    keep(document.getElementById("key-value").value);
    begin();
  } catch {
    tell("A key has no such characters.", "bad");
  }
});
begin();
