// Calls of the API, the faults they end in, and the key where one is wanted.

export class Fault extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

const KEY = "harmonium-key";

// Raises an error if the key has characters that no header can carry.
export function keep(key) {
  new Headers({ Authorization: key });
  sessionStorage.setItem(KEY, key);
}

// The answer of `path`, relative to this page; `body` is a Blob, or anything that JSON can hold.
export async function call(path, { body, accept = "application/json", signal } = {}) {
  const headers = { Accept: accept };
  const key = sessionStorage.getItem(KEY);
  if (key) headers.Authorization = `Bearer ${key}`;
  const sent = body === undefined || body instanceof Blob ? body : JSON.stringify(body);
  if (body !== undefined) headers["Content-Type"] = body instanceof Blob ? body.type : "application/json";
  let answer;
  try {
    answer = await fetch(path, { method: body === undefined ? "GET" : "POST", headers, body: sent, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Fault(0, "The service cannot be reached.");
  }
  if (answer.ok) return answer;
  let problem = {};
  try {
    problem = await answer.json();
  } catch {
    // what stands before the service may answer with something else
  }
  if (answer.status === 401 || answer.status === 403) {
    askForKey();
    throw new Fault(answer.status, `${problem.title ?? "A key is needed"}.`);
  }
  const first = problem.errors?.[0];
  const said = [problem.detail, problem.title, problem.reasons?.join("; ")].find(Boolean);
  const detail = first ? `${problem.title}: ${first.pointer} ${first.detail}` : said;
  throw new Fault(answer.status, detail ?? `The service answered ${answer.status}.`);
}

function askForKey() {
  const form = document.getElementById("key");
  if (!form.hidden) return;
  form.hidden = false;
  form.scrollIntoView({ block: "center" });
  form.querySelector("input").focus({ preventScroll: true });
}

export async function factsOf(model, task, signal) {
  const about = await (await call(`v1/models/${encodeURIComponent(model)}`, { signal })).json();
  return about.tasks.find((one) => one.task === task);
}

export function show(section, error) {
  const fault = section.querySelector(".fault");
  fault.textContent = error?.message ?? "";
  fault.hidden = !error;
  if (error && !(error instanceof Fault)) console.error(error);
}

// The newest work counts: `latest(work)` runs `work(signal)`, abandons what was asked for before, and tells whether it
// came to its end. Without work it only abandons.
export function newest(section) {
  let running, faulty = false;
  return async (work) => {
    running?.abort();
    if (!work) return false;
    const mine = (running = new AbortController());
    try {
      await work(mine.signal);
      if (mine.signal.aborted) return false;
      if (faulty) show(section); // the fault of other work stays
      faulty = false;
      return true;
    } catch (error) {
      if (mine.signal.aborted) return false;
      show(section, error);
      faulty = true;
      return false;
    }
  };
}

// One call at a time: while one runs only the newest of those that wait is kept.
export function steady(work) {
  let running = false, waiting;
  return async function ask(...about) {
    waiting = about;
    if (running) return;
    running = true;
    while (waiting) {
      const now = waiting;
      waiting = undefined;
      await work(...now);
    }
    running = false;
  };
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const whole = (path) => quoted(new URL(path, document.baseURI).href);

// A call as curl makes it; one that is refused ends with an error.
export function command(path, { json, file, type, accept, output } = {}) {
  const parts = ["curl -sS --fail-with-body", whole(path)];
  if (sessionStorage.getItem(KEY)) parts.push("-H 'Authorization: Bearer YOUR-KEY'");
  if (json) parts.push("--json", quoted(JSON.stringify(json)));
  if (file) parts.push(`-H 'Content-Type: ${type}'`, "--data-binary", quoted(`@${file}`));
  if (accept) parts.push(`-H 'Accept: ${accept}'`);
  if (output) parts.push("-o", output);
  return parts.join(" ");
}

export function download(path) {
  return `curl -sSO --fail ${whole(path)}`;
}

// Shows the commands of what was just called.
export function tell(section, ...commands) {
  section.querySelector(".call pre").textContent = commands.filter(Boolean).join("\n");
}

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
