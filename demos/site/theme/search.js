// The search box. The index is fetched when the box is first used, and never before.
"use strict";

(() => {
  const root = document.currentScript.dataset.root;
  const box = document.getElementById("search");
  const list = document.getElementById("results");
  const MOST_RESULTS = 12;
  let index = null;
  let selected = -1;

  async function load() {
    index ??= fetch(`${root}search.json`).then((response) => {
      if (!response.ok) throw new Error(`search index: ${response.status}`);
      return response.json();
    });
    return index;
  }

  // The first place in the sorted terms that is not before `word`.
  function place(terms, word) {
    let low = 0;
    let high = terms.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (terms[middle] < word) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // Page number -> weight, for all terms that start with `word`; a whole word counts double.
  function pagesWith(data, word) {
    const pages = new Map();
    for (let at = place(data.terms, word); at < data.terms.length; at += 1) {
      if (!data.terms[at].startsWith(word)) break;
      const factor = data.terms[at] === word ? 2 : 1;
      const hits = data.hits[at];
      for (let i = 0; i < hits.length; i += 2) {
        pages.set(hits[i], (pages.get(hits[i]) ?? 0) + hits[i + 1] * factor);
      }
    }
    return pages;
  }

  // Pages that have every word, the best first.
  function find(data, query) {
    const words = query.toLowerCase().split(/[^\p{L}\p{N}_]+/u).filter((word) => word.length > 1);
    if (words.length === 0) return [];
    const [first, ...rest] = words.map((word) => pagesWith(data, word));
    return [...first]
      .filter(([page]) => rest.every((pages) => pages.has(page)))
      .map(([page, weight]) => [page, rest.reduce((sum, pages) => sum + pages.get(page), weight)])
      .sort((a, b) => b[1] - a[1] || a[0] - b[0])
      .slice(0, MOST_RESULTS)
      .map(([page]) => data.pages[page]);
  }

  function element(name, text) {
    const made = document.createElement(name);
    made.textContent = text;
    return made;
  }

  function row(page, number) {
    const link = document.createElement("a");
    link.href = root + page.url;
    link.tabIndex = -1;
    link.append(element("strong", page.title), element("small", page.section), element("p", page.excerpt));
    const item = document.createElement("li");
    item.id = `result-${number}`;
    item.role = "option";
    item.append(link);
    return item;
  }

  function select(number) {
    const rows = list.children;
    if (rows.length === 0) return;
    selected = (number + rows.length) % rows.length;
    for (const [at, item] of [...rows].entries()) item.ariaSelected = String(at === selected);
    rows[selected].scrollIntoView({ block: "nearest" });
    box.setAttribute("aria-activedescendant", rows[selected].id);
  }

  function close() {
    list.hidden = true;
    box.ariaExpanded = "false";
    box.removeAttribute("aria-activedescendant");
    selected = -1;
  }

  async function show() {
    const query = box.value.trim();
    if (query === "") return close();
    let rows;
    try {
      rows = find(await load(), query).map(row);
    } catch (error) {
      // A page opened from a file has no index to fetch; let the next attempt try again.
      index = null;
      rows = [element("li", "The search index could not be loaded.")];
      console.warn(error);
    }
    if (box.value.trim() !== query) return;
    close();
    list.replaceChildren(...(rows.length > 0 ? rows : [element("li", "Nothing found.")]));
    list.hidden = false;
    box.ariaExpanded = "true";
  }

  box.addEventListener("focus", () => load().catch(() => { index = null; }), { once: true });
  box.addEventListener("input", show);
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") select(selected + 1);
    else if (event.key === "ArrowUp") select(selected - 1);
    else if (event.key === "Escape") close();
    else if (event.key === "Enter") list.children[Math.max(selected, 0)]?.querySelector("a")?.click();
    else return;
    event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest("search")) close();
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, [contenteditable]");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      box.focus();
    }
  });
})();
