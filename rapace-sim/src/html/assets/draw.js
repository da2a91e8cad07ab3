// The part of the diagram that is in the window. Everything outside of it is not in the document.

const SVG = "http://www.w3.org/2000/svg";

function svg(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const key in attributes) element.setAttribute(key, attributes[key]);
  if (text !== undefined) element.textContent = text;
  return element;
}

function html(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class") element.className = value;
    else if (key.includes("-") || key === "role" || key === "for") element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children);
  return element;
}

/** Draws rows, lanes and arrows between two heights of the layout. */
function draw(view, top, bottom) {
  const { layout, across, parts } = view;
  const height = bottom - top;
  for (const canvas of [parts.under, parts.diagram]) {
    canvas.setAttribute("width", across.width);
    canvas.setAttribute("height", height);
    canvas.setAttribute("viewBox", `0 ${top} ${across.width} ${height}`);
    canvas.style.top = `${top}px`;
  }
  const first = Math.max(rowAt(layout, top) - 1, 0);
  const last = Math.min(rowAt(layout, bottom) + 1, layout.rows.length);
  const rows = layout.rows.slice(first, last);

  const under = [];
  drawBands(under, view, rows);
  drawLives(under, view, top, bottom);
  parts.under.replaceChildren(...under);

  const over = [];
  drawBreaks(over, view, top, bottom);
  // Words come after all arrows, so that no arrow crosses them out.
  const words = [];
  for (const event of arrowsBetween(layout, top, bottom)) drawArrow(over, words, view, event);
  over.push(...words);
  for (const event of rows) MARKS[event.kind]?.(over, view, event);
  parts.diagram.replaceChildren(...over);

  parts.rows.replaceChildren(...rows.map((event, i) => rowElement(view, event, rows[i - 1])));
}

function drawBands(out, view, rows) {
  for (const event of rows) {
    const band = event.kind === "failure" ? "failure" : event.kind === "fault" ? event.tone
      : event.kind === "mark" ? "mark" : null;
    if (band) {
      out.push(svg("rect", { class: `band ${band}`, x: 0, y: event.y - ROW / 2,
        width: view.across.width, height: ROW }));
    }
    if (event === view.selected) {
      out.push(svg("rect", { class: "band selected", x: 0, y: event.y - ROW / 2,
        width: view.across.width, height: ROW }));
    }
  }
}

function drawLives(out, view, top, bottom) {
  const { model, layout, across } = view;
  const end = layout.height - 16;
  const place = (event, otherwise) => (event ? heightOf(view, event) : otherwise);
  model.lives.forEach((lives, lane) => {
    const x = across.x(lane);
    out.push(svg("line", { class: "thread", x1: x, x2: x, y1: top, y2: Math.min(bottom, end) }));
    for (const life of lives) {
      const from = Math.max(place(life.from, 0), top - 20);
      const to = Math.min(place(life.to, end), bottom + 20);
      if (to < from) continue;
      out.push(svg("rect", { class: "life", x: x - 5, y: from, width: 10, height: to - from, rx: 3 }));
      for (const hung of life.hung) {
        const a = Math.max(place(hung.from, 0), top - 20);
        const b = Math.min(place(hung.to ?? life.to, end), bottom + 20);
        if (b < a) continue;
        out.push(svg("rect", { class: "hung", x: x - 5, y: a, width: 10, height: b - a, rx: 3 }));
        // The hatch is aligned to the page, so that it does not crawl while scrolling.
        let path = "";
        for (let y = Math.floor(a / 8) * 8; y < b; y += 8) {
          if (y >= a && y + 6 <= b) path += `M${x - 5} ${y + 6}L${x + 5} ${y}`;
        }
        out.push(svg("path", { class: "hatch", d: path }));
      }
    }
  });
}

/** Where an event is, also when a filter hides it: then where its time is. */
function heightOf(view, event) {
  return event.row >= 0 ? event.y : view.layout.yOf(event.at, -1);
}

function drawBreaks(out, view, top, bottom) {
  const { layout, across } = view;
  for (let i = breakAt(layout, top); i < layout.breaks.length; i++) {
    const gap = layout.breaks[i];
    if (gap.y > bottom + BREAK) break;
    const right = across.textAt - 12;
    out.push(svg("rect", { class: "cut", x: across.time, y: gap.y - 8, width: right - across.time,
      height: 16 }));
    for (const y of [gap.y - 8, gap.y + 8]) {
      let path = `M${across.time} ${y}`;
      for (let x = across.time, up = true; x < right; x += 9, up = !up) {
        path += `L${Math.min(x + 9, right)} ${y + (up ? -3 : 0)}`;
      }
      out.push(svg("path", { class: "zigzag", d: path }));
    }
    out.push(svg("text", { class: "cut-text", x: across.time - 14, y: gap.y + 4,
      "text-anchor": "end" }, `+${spanText(gap.pause)}`));
  }
}

function drawArrow(out, words, view, event) {
  const { across, selected } = view;
  const to = event.to < 0 || event.lane < 0 ? null : across.x(event.to);
  if (to === null) return;
  const from = across.x(event.lane);
  const side = to >= from ? 1 : -1;
  const x1 = from + side * 6;
  // A lost frame stops on its way.
  const x2 = event.lost ? from + side * Math.min(Math.abs(to - from) * 0.62, across.lane * 0.62) : to - side * 6;
  const y2 = event.yTo;
  const same = selected && selected.channelKey === event.channelKey && event.about !== 0;
  const state = [event.lost ? "lost" : "", event.error ? "error" : "", event === selected ? "selected"
    : same ? "same" : ""].filter(Boolean).join(" ");
  const group = svg("g", { class: `arrow ${event.kind} ${state}`, "data-i": event.i });
  group.append(svg("line", { class: "aim", x1, y1: event.y, x2, y2 }));
  group.append(svg("line", { class: "shaft", x1, y1: event.y, x2, y2 }));
  if (event.lost) {
    group.append(svg("path", { class: "cross",
      d: `M${x2 - 4} ${y2 - 4}l8 8m0 -8l-8 8` }));
  } else {
    const angle = (Math.atan2(y2 - event.y, x2 - x1) * 180) / Math.PI;
    group.append(svg("path", { class: "head", d: "M0 0L-8 -3.6L-8 3.6Z",
      transform: `translate(${x2} ${y2}) rotate(${angle})` }));
  }
  const label = fit(event.label, across.lane - 26);
  out.push(group);
  // Answers begin where requests end: their words leave room for the head of that arrow.
  words.push(svg("text", { class: `arrow label ${event.kind} ${state}`, x: from + (side > 0 ? 14 : -20),
    y: event.y - 4, "text-anchor": side > 0 ? "start" : "end" }, label));
}

/** Text of at most so many pixels, in the font of labels. */
function fit(text, room) {
  const chars = Math.max(Math.floor(room / 6.1), 3);
  return text.length > chars ? `${text.slice(0, chars - 1)}…` : text;
}

const MARKS = {
  process(out, view, event) {
    const x = view.across.x(event.lane);
    const y = event.y;
    const shapes = {
      spawned: () => {
        out.push(svg("circle", { class: "born", cx: x, cy: y, r: 6 }));
        if (event.life > 1) beside(out, x, y, `#${event.life}`, "life-number");
      },
      ready: () => out.push(svg("circle", { class: "ready", cx: x, cy: y, r: 4 })),
      killed: () => out.push(svg("path", { class: "death", d: `M${x - 8} ${y - 8}l16 16m0 -16l-16 16` })),
      panicked: () => {
        out.push(svg("path", { class: "death", d: `M${x - 8} ${y - 8}l16 16m0 -16l-16 16` }));
        beside(out, x, y, "panic", "bad-word");
      },
      exited: () => out.push(svg("rect", { class: "end", x: x - 9, y: y - 2, width: 18, height: 4 })),
      finished: () => out.push(svg("rect", { class: "end", x: x - 9, y: y - 2, width: 18, height: 4 })),
      hung: () => beside(out, x, y, "hangs", "warn-word"),
      resumed: () => out.push(svg("circle", { class: "ready", cx: x, cy: y, r: 4 })),
    };
    shapes[event.change]?.();
  },
  link(out, view, event) {
    const diamond = (x) => out.push(svg("path", { class: `joint ${event.change}`,
      d: `M${x} ${event.y - 6}l6 6l-6 6l-6 -6Z` }));
    if (event.to >= 0 && event.lane >= 0) {
      const [a, b] = [view.across.x(event.lane), view.across.x(event.to)];
      out.push(svg("line", { class: "joined", x1: a, x2: b, y1: event.y, y2: event.y }));
      diamond(b);
    }
    if (event.lane >= 0) diamond(view.across.x(event.lane));
  },
  call(out, view, event) {
    if (event.lane < 0) return;
    out.push(svg("circle", { class: `call ${event.change}`, cx: view.across.x(event.lane), cy: event.y, r: 4 }));
  },
  note(out, view, event) {
    if (event.lane < 0) return;
    out.push(svg("circle", { class: "note", cx: view.across.x(event.lane), cy: event.y, r: 3 }));
  },
  fault(out, view, event) {
    const { across } = view;
    const lanes = event.lane < 0 ? [0, view.model.processes.length - 1]
      : [event.lane, event.to < 0 ? event.lane : event.to];
    const [a, b] = [across.x(Math.min(...lanes)), across.x(Math.max(...lanes))];
    const reach = a === b ? across.lane / 2 - 6 : 0;
    const hit = event.tone === "fault" ? "hit" : "missed";
    out.push(svg("line", { class: `strike ${hit}`, x1: a - reach, x2: b + reach, y1: event.y, y2: event.y }));
    const x = (a + b) / 2;
    out.push(svg("path", { class: `bolt ${hit}`,
      d: `M${x + 2} ${event.y - 11}l-9 13h6l-2 9l9 -13h-6Z` }));
  },
};

function beside(out, x, y, text, style) {
  out.push(svg("text", { class: style, x: x + 11, y: y + 4 }, text));
}

/** One row: what a reader of the page hears, and what stands left and right of the lanes. */
function rowElement(view, event, before) {
  const { across, selected, hits } = view;
  const time = timeText(event.at);
  const route = event.frame ? `${event.raw.from} to ${event.raw.to}, ` : "";
  const row = html("div", { id: `event-${event.i}`, role: "option",
    class: `row ${event.kind} ${event.tone}${hits?.has(event.i) ? " hit" : ""}`,
    "aria-selected": String(event === selected), "aria-posinset": String(event.row + 1),
    "aria-setsize": String(view.layout.rows.length), "data-i": String(event.i),
    "aria-label": `${time} ms, ${event.kind}, ${route}${event.channelName ?? ""} ${event.line}` });
  row.style.top = `${event.y - ROW / 2}px`;
  row.style.width = `${across.width}px`;
  const again = before && timeText(before.at) === time ? " again" : "";
  const when = html("span", { class: `time${again}` }, time);
  when.style.width = `${across.time - 14}px`;
  const what = html("span", { class: "what", title: event.line.length > 60 ? event.line.slice(0, 400) : "" });
  what.style.left = `${across.textAt}px`;
  const kind = html("span", { class: "kind" }, event.kind);
  what.append(kind, event.channelName ? `${event.channelName} ` : "", html("span", { class: "line" },
    event.line.slice(0, 240)));
  row.append(when, what);
  return row;
}

/** The names over the lanes, with the life that each process is in at the top of the window. */
function drawHeads(view) {
  const { model, across, parts } = view;
  const heads = model.processes.map((name, lane) => {
    const lives = model.lives[lane];
    const y = view.parts.scroller.scrollTop + 4;
    const life = lives.findLast((life) => !life.from || heightOf(view, life.from) <= y) ?? lives[0];
    const dead = life && life.to && heightOf(view, life.to) <= y;
    const number = life && life.life > 1 ? ` #${life.life}` : "";
    const head = html("span", { class: dead ? "lane dead" : "lane", title: name },
      html("b", {}, name), number, dead && life.end ? ` ${life.end}` : "");
    head.style.left = `${across.x(lane) - across.lane / 2 + 3}px`;
    head.style.width = `${across.lane - 6}px`;
    return head;
  });
  const time = html("span", { class: "lane-time" }, "ms");
  time.style.width = `${across.time - 14}px`;
  parts.lanes.style.width = `${across.width}px`;
  parts.lanes.replaceChildren(time, ...heads);
}
