// Search, filters, keyboard: what the page does.

(() => {
  const byId = (id) => document.getElementById(id);
  const parts = { scroller: byId("scroller"), field: byId("field"), lanes: byId("lanes"),
    under: byId("under"), diagram: byId("diagram"), rows: byId("rows"), overview: byId("overview"),
    panel: byId("panel"), panelTitle: byId("panel-title"), panelBody: byId("panel-body"),
    search: byId("search"), matches: byId("matches"), link: byId("link"), channel: byId("channel"),
    kinds: byId("kinds"), shown: byId("shown"), reset: byId("reset"), help: byId("help") };
  const model = readTrace(JSON.parse(byId("data").textContent));
  const filter = { hidden: new Set(), link: null, life: null, channel: null };
  const view = { model, layout: null, across: null, parts, selected: null, hits: null };
  let matches = [];

  // ---- filters

  /** Frames obey every filter; faults, crashes and failures stay, because they explain the rest. */
  function shown(event) {
    if (filter.hidden.has(event.kind)) return false;
    if (filter.link !== null) {
      if (event.link === undefined) {
        // What happens to a process concerns the links that end there.
        if (event.lane >= 0 && !endsOf(filter.link).includes(event.lane)) return false;
      } else if (event.link !== filter.link) {
        return false;
      } else if (filter.life !== null && event.life !== undefined && event.life !== filter.life) {
        return false;
      }
    }
    if (filter.channel !== null) {
      if (event.frame) return event.about === filter.channel || event.channel === filter.channel;
      return event.kind === "fault" || event.kind === "process" || event.kind === "failure";
    }
    return true;
  }

  function endsOf(name) {
    const link = model.links.find((link) => link.name === name);
    return link ? link.ends.map((end) => model.processes.indexOf(end)) : [];
  }

  function filtered() {
    return filter.hidden.size > 0 || filter.link !== null || filter.channel !== null;
  }

  function refilter() {
    const anchor = view.selected ?? view.layout?.rows[rowAt(view.layout, parts.scroller.scrollTop)];
    const offset = anchor && anchor.row >= 0 ? anchor.y - parts.scroller.scrollTop : 0;
    view.layout = layOut(model, shown);
    parts.field.style.height = `${view.layout.height}px`;
    const { rows } = view.layout;
    parts.shown.textContent = filtered() ? `${rows.length} of ${model.events.length} events shown` : "";
    parts.reset.hidden = !filtered();
    if (view.selected && view.selected.row < 0) view.selected = null;
    if (anchor) {
      // What one looked at stays where it was, or what comes next after it.
      const near = anchor.row >= 0 ? anchor : rows.find((event) => event.i > anchor.i) ?? rows.at(-1);
      if (near) parts.scroller.scrollTop = near.y - offset;
    }
    research(false);
    resize();
  }

  function fillFilters() {
    const counts = new Map();
    for (const event of model.events) counts.set(event.kind, (counts.get(event.kind) ?? 0) + 1);
    for (const kind of [...FRAME_KINDS, ...OTHER_KINDS]) {
      if (!counts.has(kind)) continue;
      const chip = html("button", { type: "button", class: `chip ${kind}`, "aria-pressed": "true" },
        html("i", {}), kind, html("small", {}, String(counts.get(kind))));
      chip.dataset.kind = kind;
      chip.addEventListener("click", (click) => {
        const alone = filter.hidden.size === counts.size - 1 && !filter.hidden.has(kind);
        if (click.shiftKey) {
          filter.hidden = new Set(alone ? [] : [...counts.keys()].filter((other) => other !== kind));
        } else if (!filter.hidden.delete(kind)) {
          filter.hidden.add(kind);
        }
        showFilters();
        refilter();
      });
      parts.kinds.append(chip);
    }
    const lives = new Map(model.links.map((link) => [link.name, 1]));
    for (const event of model.events) {
      if (event.link !== undefined && event.life !== undefined) {
        lives.set(event.link, Math.max(lives.get(event.link) ?? 1, event.life));
      }
    }
    const option = (text, link, life) => html("option", { value: JSON.stringify([link, life]) }, text);
    parts.link.append(option("all", null, null));
    for (const [name, count] of lives) {
      parts.link.append(option(name, name, null));
      for (let life = 1; count > 1 && life <= count; life++) {
        parts.link.append(option(`${name} #${life}`, name, life));
      }
    }
  }

  function showFilters() {
    for (const chip of parts.kinds.children) {
      chip.setAttribute("aria-pressed", String(!filter.hidden.has(chip.dataset.kind)));
    }
    const value = JSON.stringify([filter.link, filter.life]);
    parts.link.value = [...parts.link.options].some((option) => option.value === value) ? value
      : JSON.stringify([filter.link, null]);
    parts.channel.value = filter.channel ?? "";
  }

  function setFilter(change) {
    Object.assign(filter, change);
    showFilters();
    refilter();
  }

  // ---- search

  function research(jump) {
    const words = parts.search.value.trim().toLowerCase();
    matches = words === "" ? [] : view.layout.rows.filter((event) => event.hay.includes(words));
    view.hits = new Set(matches.map((event) => event.i));
    if (jump && matches.length > 0) {
      const from = view.selected?.i ?? -1;
      select(matches.find((event) => event.i >= from) ?? matches[0]);
    }
    showMatches();
    redraw();
  }

  function showMatches() {
    const at = view.selected ? matches.indexOf(view.selected) : -1;
    parts.matches.textContent = parts.search.value.trim() === "" ? ""
      : matches.length === 0 ? "no match" : at < 0 ? `${matches.length} matches` : `${at + 1} of ${matches.length}`;
  }

  function nextMatch(step) {
    stepThrough(matches, step);
  }

  /** Selects the next of some events in this direction, around the end if need be. */
  function stepThrough(events, step) {
    if (events.length === 0) return;
    const from = view.selected?.i ?? (step > 0 ? -1 : Infinity);
    const next = step > 0 ? events.find((event) => event.i > from) ?? events[0]
      : events.findLast((event) => event.i < from) ?? events.at(-1);
    select(next);
  }

  // ---- selection

  function select(event, opens = false) {
    if (!event) return;
    view.selected = event;
    if (opens || !parts.panel.hidden) openPanel();
    reveal(event);
    try {
      history.replaceState(null, "", `#event-${event.i + 1}`);
    } catch {
      // Some viewers of local files forbid it; the address is only a convenience.
    }
    showMatches();
    redraw();
    parts.field.setAttribute("aria-activedescendant", `event-${event.i}`);
  }

  /** Scrolls no more than it takes to see the event. */
  function reveal(event) {
    const top = parts.scroller.scrollTop;
    const room = parts.scroller.clientHeight - parts.lanes.offsetHeight;
    if (event.y - ROW < top) parts.scroller.scrollTop = event.y - ROW * 2;
    else if (event.y + ROW > top + room) parts.scroller.scrollTop = event.y - room + ROW * 2;
  }

  function openPanel() {
    const was = parts.panel.hidden;
    parts.panel.hidden = false;
    showPanel(parts, model, view.selected, {
      only: (event) => setFilter({ link: event.link, life: event.life, channel: event.about }),
      onlyLink: (event) => setFilter({ link: event.link, life: null, channel: null }),
      along,
    });
    if (was) {
      resize();
      // In a narrow window the panel takes its room from below.
      reveal(view.selected);
    }
  }

  function closePanel() {
    parts.panel.hidden = true;
    parts.field.focus({ preventScroll: true });
    resize();
  }

  function move(step) {
    const { rows } = view.layout;
    if (rows.length === 0) return;
    const at = view.selected ? view.selected.row + step
      : step > 0 ? rowAt(view.layout, parts.scroller.scrollTop) : rowAt(view.layout, parts.scroller.scrollTop) - 1;
    select(rows[Math.max(0, Math.min(rows.length - 1, at))]);
  }

  function along(step) {
    const key = view.selected?.channelKey;
    if (!view.selected?.about) return;
    const same = view.layout.rows.filter((event) => event.channelKey === key);
    const next = same[same.indexOf(view.selected) + step];
    if (next) select(next);
  }

  // ---- drawing

  /** More than the window is drawn, so that most steps of scrolling draw nothing. */
  const MARGIN = 500;
  let drawn = null;
  let due = false;

  function redraw() {
    drawn = null;
    scrolled();
  }

  function scrolled() {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      const { scrollTop, clientHeight } = parts.scroller;
      const bottom = Math.min(scrollTop + clientHeight, view.layout.height);
      if (!drawn || scrollTop < drawn.top || bottom > drawn.bottom) {
        drawn = { top: Math.max(0, Math.floor(scrollTop) - MARGIN),
          bottom: Math.min(view.layout.height, Math.ceil(scrollTop + clientHeight) + MARGIN) };
        draw(view, drawn.top, drawn.bottom);
      }
      drawHeads(view);
      drawOverview();
    });
  }

  function resize() {
    view.across = columns(model.processes.length, parts.scroller.clientWidth);
    parts.field.style.width = `${view.across.width}px`;
    redraw();
  }

  /** The whole trace in a strip: what is bad, what was found, and where the window is. */
  function drawOverview() {
    const canvas = parts.overview;
    const height = canvas.clientHeight;
    const scale = window.devicePixelRatio || 1;
    canvas.width = 16 * scale;
    canvas.height = height * scale;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const style = getComputedStyle(document.documentElement);
    const ratio = height / view.layout.height;
    const colours = new Map();
    const tick = (event, name, left, width) => {
      if (!colours.has(name)) colours.set(name, style.getPropertyValue(name));
      pen.fillStyle = colours.get(name);
      pen.fillRect(left, event.y * ratio - 1, width, 2);
    };
    pen.fillStyle = style.getPropertyValue("--window");
    pen.fillRect(0, parts.scroller.scrollTop * ratio, 16, Math.max(parts.scroller.clientHeight * ratio, 4));
    for (const event of view.layout.alarms) tick(event, event.kind === "fault" ? "--fault" : "--bad", 0, 8);
    for (const event of matches) tick(event, "--found", 8, 8);
    if (view.selected) tick(view.selected, "--ink", 0, 16);
  }

  // ---- input

  function eventOf(target) {
    const place = target.closest?.("[data-i]");
    return place ? model.events[Number(place.dataset.i)] : null;
  }

  const page = () => Math.max(1, Math.floor(parts.scroller.clientHeight / ROW) - 2);
  const KEYS = {
    j: () => move(1), ArrowDown: () => move(1), k: () => move(-1), ArrowUp: () => move(-1),
    PageDown: () => move(page()), PageUp: () => move(-page()),
    g: () => select(view.layout.rows[0]), Home: () => select(view.layout.rows[0]),
    G: () => select(view.layout.rows.at(-1)), End: () => select(view.layout.rows.at(-1)),
    Enter: () => { if (view.selected) openPanel(); else move(1); },
    "]": () => along(1), "[": () => along(-1),
    "!": () => stepThrough(view.layout.alarms, 1),
    "/": () => { parts.search.focus(); parts.search.select(); },
    n: () => nextMatch(1), N: () => nextMatch(-1),
    "?": () => parts.help.showModal(),
    Escape: () => {
      if (!parts.panel.hidden) closePanel();
      else if (parts.search.value !== "") { parts.search.value = ""; research(false); }
    },
  };

  document.addEventListener("keydown", (key) => {
    if (key.ctrlKey || key.metaKey || key.altKey || parts.help.open) return;
    const { target } = key;
    if (target === parts.search) {
      if (key.key === "Enter") { research(true); parts.field.focus({ preventScroll: true }); }
      else if (key.key === "Escape") { parts.search.value = ""; research(false); parts.field.focus({ preventScroll: true }); }
      else return;
      key.preventDefault();
      return;
    }
    if (target.matches?.("input, select")) {
      if (key.key === "Escape") parts.field.focus({ preventScroll: true });
      return;
    }
    // Buttons keep Enter for themselves.
    if (key.key === "Enter" && target.matches?.("button")) return;
    const act = Object.hasOwn(KEYS, key.key) ? KEYS[key.key] : null;
    if (!act) return;
    key.preventDefault();
    act();
  });

  parts.scroller.addEventListener("scroll", scrolled, { passive: true });
  parts.field.addEventListener("click", (click) => {
    if (getSelection().toString() !== "") return;
    select(eventOf(click.target), true);
  });
  parts.overview.addEventListener("pointerdown", (down) => {
    const go = (move) => {
      const share = move.offsetY / parts.overview.clientHeight;
      parts.scroller.scrollTop = share * view.layout.height - parts.scroller.clientHeight / 2;
    };
    go(down);
    parts.overview.setPointerCapture(down.pointerId);
    parts.overview.onpointermove = go;
    parts.overview.onpointerup = () => { parts.overview.onpointermove = null; };
  });
  parts.search.addEventListener("input", () => research(false));
  parts.link.addEventListener("change", () => {
    const [link, life] = JSON.parse(parts.link.value);
    setFilter({ link, life });
  });
  parts.channel.addEventListener("input", () => {
    const channel = parts.channel.value === "" ? null : Number(parts.channel.value);
    Object.assign(filter, { channel });
    refilter();
  });
  parts.reset.addEventListener("click", () => setFilter({ hidden: new Set(), link: null, life: null, channel: null }));
  byId("help-button").addEventListener("click", () => parts.help.showModal());
  byId("panel-close").addEventListener("click", closePanel);
  new ResizeObserver(resize).observe(parts.scroller);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  // ---- beginning

  fillFilters();
  const lost = model.events.filter((event) => event.lost).length;
  const frames = model.events.filter((event) => event.frame).length;
  const alarms = model.events.filter((event) => event.alarm).length;
  const last = model.events.at(-1);
  byId("facts").textContent = [`${model.events.length} events`, `${frames} frames`, `${lost} lost`,
    `${alarms} faults and crashes`, `${spanText(last?.at ?? 0)} of virtual time`, `trace hash ${model.hash}`].join(" · ");
  if (model.events.length === 0) parts.field.append(html("p", { class: "empty" }, "Nothing happened in this trace."));
  refilter();
  parts.field.focus({ preventScroll: true });
  const wanted = /^#event-(\d+)$/.exec(location.hash);
  if (wanted) select(model.events[Number(wanted[1]) - 1], true);
})();
