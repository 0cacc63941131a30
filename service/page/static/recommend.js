// Films: a search with suggestions, what is liked, and the list with its reasons.

import { call, command, element, newest, show, tell } from "./api.js";

const COUNT = 12;

export function start(section, model) {
  const field = section.querySelector("#film");
  const options = section.querySelector("#film-options");
  const none = section.querySelector("#film-none");
  const chips = section.querySelector("#liked");
  const films = section.querySelector("#films");
  const latest = newest(section), found = newest(section);
  const liked = new Map();
  let shown = [], at = -1, hurried = false;

  function named({ title, attributes }) {
    return attributes?.year ? `${title} (${attributes.year})` : title;
  }

  function close() {
    found(); // an answer that is late would open it again
    options.hidden = true;
    none.textContent = "";
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
    at = -1;
    hurried = false;
  }

  function point(place) {
    at = place;
    [...options.children].forEach((option, number) => option.setAttribute("aria-selected", number === at));
    if (at < 0) return field.removeAttribute("aria-activedescendant");
    field.setAttribute("aria-activedescendant", options.children[at].id);
    options.children[at].scrollIntoView({ block: "nearest" });
  }

  function suggest() {
    const query = field.value.trim();
    if (!query) {
      show(section);
      return close();
    }
    found(async (signal) => {
      const path = `v1/models/${encodeURIComponent(model())}/items?limit=8&query=${encodeURIComponent(query)}`;
      const { items } = await (await call(path, { signal })).json();
      if (signal.aborted) return;
      if (hurried && items.length) return like(items[0]);
      const pointed = at > 0 ? shown[at].item : undefined; // by the keys, which keeps it
      shown = items;
      options.replaceChildren(
        ...items.map((item, place) => {
          const option = element("li", { id: `film-option-${place}` }, item.title, " ",
            element("small", {}, item.attributes?.year ?? ""));
          option.setAttribute("role", "option");
          option.setAttribute("aria-selected", "false");
          option.addEventListener("click", () => like(item));
          return option;
        }),
      );
      options.hidden = !items.length;
      none.textContent = items.length ? "" : "No film fits.";
      field.setAttribute("aria-expanded", String(!options.hidden));
      point(items.length ? Math.max(0, items.findIndex(({ item }) => item === pointed)) : -1);
    });
  }

  function like(item) {
    liked.set(item.item, item);
    field.value = "";
    close();
    renew();
  }

  function renew() {
    chips.replaceChildren(
      ...[...liked.values()].map((item) => {
        const button = element("button", { type: "button" }, named(item));
        button.setAttribute("aria-label", `${named(item)}: take it off the list`);
        button.addEventListener("click", () => {
          liked.delete(item.item);
          renew();
          field.focus();
        });
        return element("li", {}, button);
      }),
    );
    return latest(async (signal) => {
      const json = { model: model(), users: [{ liked: [...liked.keys()] }], count: COUNT, reasons: true };
      tell(section, command("v1/recommend", { json }));
      films.classList.add("busy");
      try {
        const answer = await (await call("v1/recommend", { body: json, signal })).json();
        list(answer.users[0]);
      } finally {
        if (!signal.aborted) films.classList.remove("busy");
      }
    });
  }

  function list({ source, total, items }) {
    section.querySelector("#list-title").textContent =
      source === "popularity" ? "What many liked, to begin with:" : `The best of ${total} films for you:`;
    films.replaceChildren(
      ...items.map((item) => {
        const button = element("button", { type: "button" }, "Like");
        button.setAttribute("aria-label", `I like ${named(item)}`);
        button.addEventListener("click", () => {
          like(item);
          chips.lastElementChild.firstElementChild.focus({ preventScroll: true }); // this button will be gone
        });
        const about = [item.attributes?.year, (item.attributes?.genres ?? []).join(", ")].filter(Boolean).join(" · ");
        const why = (item.reasons ?? [])
          .filter((reason) => reason.gain > 0 && liked.has(reason.item))
          .slice(0, 2)
          .map((reason) => liked.get(reason.item).title);
        const lines = [element("b", {}, item.title), element("small", {}, about)];
        if (why.length) lines.push(element("small", { className: "why" }, `because of ${why.join(" and ")}`));
        return element("li", {}, ...lines, button);
      }),
    );
  }

  options.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
  field.addEventListener("input", suggest);
  field.addEventListener("blur", close);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return close();
    if (event.key === "Enter") {
      event.preventDefault();
      if (!options.hidden && at >= 0) like(shown[at]);
      else hurried = true; // the first of what is being looked for
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (options.hidden) suggest();
      else point((at + (event.key === "ArrowDown" ? 1 : shown.length - 1)) % shown.length);
    }
  });
  return renew;
}
