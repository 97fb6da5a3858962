// What the pages gain where scripts run: sliders for the two dates, suggestions while typing, live arrivals, verification.

const DAY = 86_400_000;

function dayNumber(text) {
  return Math.round(Date.parse(`${text}T00:00:00Z`) / DAY);
}

function dayText(number) {
  return new Date(number * DAY).toISOString().slice(0, 10);
}

function addSlider(field) {
  const slider = document.createElement("input");
  slider.type = "range";
  slider.min = dayNumber(field.dataset.first);
  slider.max = dayNumber(field.dataset.last);
  slider.value = dayNumber(field.value || field.dataset.today);
  slider.setAttribute("aria-label", field.dataset.slider);
  slider.setAttribute("aria-valuetext", field.value);
  slider.addEventListener("input", () => {
    field.value = dayText(Number(slider.value));
    slider.setAttribute("aria-valuetext", field.value);
  });
  slider.addEventListener("change", () => field.form.requestSubmit());
  field.addEventListener("input", () => {
    if (field.value) slider.value = dayNumber(field.value);
  });
  field.after(slider);
}

function nameOf(text, language) {
  if (text === null || text === undefined || typeof text === "string") return text || "";
  const tags = Object.keys(text);
  const tag = [language, "en"].map((wanted) => tags.find((each) => each.split("-")[0] === wanted)).find(Boolean);
  return text[tag || tags[0]];
}

async function itemsOf(address, query) {
  const answer = await fetch(`${address}?${new URLSearchParams({ ...query, limit: "5" })}`, { headers: { Accept: "application/json" } });
  return answer.ok ? (await answer.json()).items : [];
}

// Subjects with these words; of one collection, if it is given.
async function found(words, isSubject, collection) {
  const [parties, subjects] = await Promise.all([
    collection && collection !== "parties" ? [] : itemsOf("/v1/parties/resolve", { name: words }),
    itemsOf("/v1/search", { q: words, ...(collection && { collection }) }),
  ]);
  const seen = new Map();
  for (const each of isSubject ? [...parties, ...subjects] : [...parties.slice(0, 3), ...subjects]) seen.set(each.subject, each);
  return [...seen.values()].slice(0, 8);
}

function addSuggestions(field) {
  const isSubject = field.dataset.suggest.startsWith("subject");
  const wordsOf = () => (field.value.split("\n").at(-1) || "").trim();
  const choose = (subject) => {
    field.value = [...field.value.split("\n").slice(0, -1), subject].join("\n");
  };
  const list = document.createElement("ul");
  list.className = "suggestions";
  list.hidden = true;
  field.after(list);
  const register = field.closest(".field")?.querySelector("button[value^='register:']");
  let latest = 0;
  let timer;
  const close = () => {
    list.hidden = true;
  };
  field.addEventListener("input", () => {
    clearTimeout(timer);
    const words = wordsOf();
    const own = (latest += 1);
    if (words.length < 2) return close();
    timer = setTimeout(async () => {
      const items = await found(words, isSubject, field.dataset.collection);
      if (own !== latest) return;
      list.replaceChildren(
        ...items.map((each) => {
          const item = document.createElement("li");
          const link = document.createElement("a");
          link.href = `/${each.subject}`;
          link.textContent = nameOf(each.name, document.documentElement.lang) || each.subject;
          if (isSubject) {
            link.addEventListener("click", (event) => {
              event.preventDefault();
              choose(each.subject);
              close();
              field.focus();
            });
          }
          item.append(link);
          return item;
        }),
      );
      if (register && !items.some((each) => each.subject === words)) {
        const item = document.createElement("li");
        const offer = register.cloneNode(true);
        offer.hidden = false;
        item.append(offer);
        list.append(item);
      }
      list.hidden = list.children.length === 0;
    }, 150);
  });
  const move = (event) => {
    const links = [...list.querySelectorAll("a, button")];
    if (event.key === "Escape") {
      close();
      field.focus();
    } else if (!list.hidden && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      const next = links.indexOf(document.activeElement) + step;
      (links[next] || field).focus();
    }
  };
  field.addEventListener("keydown", move);
  list.addEventListener("keydown", move);
  document.addEventListener("click", (event) => {
    if (!list.contains(event.target) && event.target !== field) close();
  });
}

// How the registry understands a date, while it is typed: the server says it.
function explainDate(field) {
  const place = document.getElementById(`${field.id}-understood`);
  let latest = 0;
  let timer;
  field.addEventListener("input", () => {
    clearTimeout(timer);
    const own = (latest += 1);
    timer = setTimeout(async () => {
      const { date: of, recorded } = field.dataset;
      const query = new URLSearchParams({ text: field.value, of, recorded, lang: document.documentElement.lang });
      const answer = await fetch(`/dates?${query}`);
      const { lines } = answer.ok ? await answer.json() : { lines: [] };
      if (own !== latest) return;
      place.replaceChildren(
        ...lines.map((line) => {
          const shown = document.createElement("p");
          shown.textContent = line;
          return shown;
        }),
      );
    }, 200);
  });
}

function followLog(note) {
  const count = note.querySelector("[data-live-count]");
  const source = new EventSource(`/v1/events/stream?after=${note.dataset.live}`);
  const plural = new Intl.PluralRules(document.documentElement.lang);
  let arrived = 0;
  const arrive = () => {
    arrived += 1;
    count.textContent = note.dataset[plural.select(arrived)].replace("{n}", arrived);
    note.hidden = false;
  };
  source.onmessage = arrive;
  source.addEventListener("event", arrive);
  addEventListener("pagehide", () => source.close());
}

// Offsets of a selection in the text of a document, in code points. The page shows the text from `data-start` on; the
// numbers between the marks are not of the text.
function selected(text) {
  const selection = getSelection();
  if (selection.isCollapsed || !text.contains(selection.anchorNode) || !text.contains(selection.focusNode)) return null;
  const range = selection.getRangeAt(0);
  const read = (part) => {
    part.querySelectorAll("sup").forEach((each) => each.remove());
    return part.textContent;
  };
  const before = document.createRange();
  before.setStart(text, 0);
  before.setEnd(range.startContainer, range.startOffset);
  const start = Number(text.dataset.start) + [...read(before.cloneContents())].length;
  const exact = read(range.cloneContents());
  return exact.trim() ? { start, end: start + [...exact].length, exact } : null;
}

function offerMarking(text) {
  const link = document.getElementById("marked");
  const address = link.getAttribute("href");
  document.addEventListener("selectionchange", () => {
    const passage = selected(text);
    if (passage === null) return;
    const query = new URLSearchParams({ "data.evidence.0.document": text.dataset.marking });
    for (const [name, value] of Object.entries(passage)) query.set(`data.evidence.0.${name}`, value);
    link.href = `${address}${address.includes("?") ? "&" : "?"}${query}`;
    link.hidden = passage.exact.length > 1500;
  });
}

function limitSize(field) {
  field.addEventListener("change", () => {
    const file = field.files[0];
    field.setCustomValidity(file && file.size > Number(field.dataset.most) ? field.dataset.tooLarge : "");
    field.reportValidity();
  });
}

document.querySelectorAll("[data-most]").forEach(limitSize);
document.querySelectorAll("[data-marking]").forEach(offerMarking);
document.querySelectorAll("input[data-slider]").forEach(addSlider);
document.querySelectorAll("[data-suggest]").forEach(addSuggestions);
document.querySelectorAll("[data-date]").forEach(explainDate);
document.querySelectorAll("[data-live]").forEach(followLog);
document.querySelectorAll("[data-verify]").forEach(async (place) => {
  const { offer } = await import("/static/verify.js");
  offer(place);
});
