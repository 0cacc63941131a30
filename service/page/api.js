// Calls of the API, the faults they end in, and the key where one is wanted.

export class Fault extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

const KEY = "harmonium-key";

export function keep(key) {
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
  let detail = `The service answered ${answer.status}.`;
  try {
    const problem = await answer.json();
    const first = problem.errors?.[0];
    detail = first ? `${problem.title}: ${first.pointer} ${first.detail}` : problem.detail || problem.title;
  } catch {
    // what stands before the service may answer with something else
  }
  if (answer.status === 401 || answer.status === 403) document.getElementById("key").hidden = false;
  throw new Fault(answer.status, detail);
}

// The newest work counts: `latest(work)` runs `work(signal)` and abandons what was asked for before.
export function newest(section) {
  let running;
  return async (work) => {
    running?.abort();
    const mine = (running = new AbortController());
    const fault = section.querySelector(".fault");
    try {
      await work(mine.signal);
      if (!mine.signal.aborted) fault.hidden = true;
    } catch (error) {
      if (mine.signal.aborted) return;
      fault.textContent = error.message;
      fault.hidden = false;
      if (!(error instanceof Fault)) console.error(error);
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

// Shows the call that was just made, as curl makes it.
export function tell(section, path, { json, file, type, accept, output } = {}) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const parts = ["curl", "-s", quoted(new URL(path, document.baseURI).href)];
  if (sessionStorage.getItem(KEY)) parts.push("-H 'Authorization: Bearer YOUR-KEY'");
  if (json) parts.push("--json", quoted(JSON.stringify(json)));
  if (file) parts.push(`-H 'Content-Type: ${type}'`, "--data-binary", quoted(`@${file}`));
  if (accept) parts.push(`-H 'Accept: ${accept}'`);
  if (output) parts.push("-o", output);
  section.querySelector(".call pre").textContent = parts.join(" ");
}

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
