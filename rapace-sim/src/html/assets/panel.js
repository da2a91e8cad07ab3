// The decoded event at the side.

/** Fills the panel. `actions` are what its buttons do. */
function showPanel(parts, model, event, actions) {
  const { raw } = event;
  parts.panelTitle.textContent = event.frame
    ? `${event.kind} ${event.channelName}`.trim() : event.kind;
  const body = [];
  const facts = [["time", `${timeText(event.at)} ms`]];
  if (event.frame) {
    facts.push(["from", raw.from], ["to", raw.to]);
    facts.push(["taken", event.lost ? "never: lost on the way"
      : `${timeText(event.received)} ms (after ${spanText(event.received - event.at)})`]);
    facts.push(["link", raw.life > 1 ? `${raw.link}, life ${raw.life}` : raw.link]);
    facts.push(["channel", raw.channel === 0 ? "0 (control)" : String(raw.channel)]);
    if (raw.method) facts.push(["method", raw.method]);
    if (raw.flags.length > 0) facts.push(["flags", raw.flags.join(" ")]);
    if (raw.deadline) facts.push(["deadline", `within ${raw.deadline}`]);
    if (raw.credit) facts.push(["credit", `${raw.credit} bytes`]);
    facts.push(["payload", `${raw.payload_bytes} bytes, hash ${raw.payload_hash}`]);
  } else if (event.words) {
    facts.push(["fault", event.words.what], ["when", event.words.when],
      ["effect", raw.hit ? "it hit" : "there was nothing to hit"]);
  } else {
    facts.push(...plainFacts(raw));
  }
  body.push(html("dl", {}, ...facts.flatMap(([name, value]) =>
    [html("dt", {}, name), html("dd", {}, value)])));
  if (event.frame) {
    body.push(html("h3", {}, "Decoded"), html("pre", { tabIndex: 0 }, pretty(raw.text) || "(empty)"));
  }
  const buttons = [];
  if (event.frame && event.about !== 0) {
    buttons.push(button("Only this channel", () => actions.only(event)));
    buttons.push(button("↑ its previous frame  [", () => actions.along(-1)),
      button("↓ its next frame  ]", () => actions.along(1)));
  }
  if (event.link !== undefined) buttons.push(button("Only this link", () => actions.onlyLink(event)));
  if (buttons.length > 0) body.push(html("div", { class: "buttons" }, ...buttons));
  body.push(html("p", { class: "facts" }, `event ${event.i + 1} of ${model.events.length}`));
  parts.panelBody.replaceChildren(...body);
}

function button(text, act) {
  return html("button", { type: "button", onclick: act }, text);
}

/** The fields of an event as the data names them, nested ones joined by dots. */
function plainFacts(raw, prefix = "") {
  return Object.entries(raw).flatMap(([name, value]) => {
    if (prefix === "" && (name === "at" || name === "event")) return [];
    if (value !== null && typeof value === "object") return plainFacts(value, `${prefix}${name}.`);
    return [[prefix + name, value === null ? "–" : String(value)]];
  });
}

/**
 * Decoded values with a line for each member, when that makes them easier to read. Brackets inside
 * of quotes are left alone.
 */
function pretty(text) {
  if (text.length < 48) return text;
  const quoted = /"(?:[^"\\]|\\.)*"/g;
  let out = "";
  let depth = 0;
  let at = 0;
  const plain = (part) => {
    for (let i = 0; i < part.length; i++) {
      const c = part[i];
      if ("{[(".includes(c)) {
        const closes = "}])"["{[(".indexOf(c)];
        if (part[i + 1] === closes) { out += c + closes; i++; continue; }
        depth++;
        out += `${c}\n${"  ".repeat(depth)}`;
        while (part[i + 1] === " ") i++;
      } else if ("}])".includes(c)) {
        depth = Math.max(depth - 1, 0);
        out = `${out.trimEnd()}\n${"  ".repeat(depth)}${c}`;
      } else if (c === ",") {
        out += `,\n${"  ".repeat(depth)}`;
        while (part[i + 1] === " ") i++;
      } else {
        out += c;
      }
    }
  };
  for (const match of text.matchAll(quoted)) {
    plain(text.slice(at, match.index));
    out += match[0];
    at = match.index + match[0].length;
  }
  plain(text.slice(at));
  return out;
}
