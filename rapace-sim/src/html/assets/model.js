// The trace as the page sees it. Nothing in it is markup: every string ends up in a text node.

const UNITS = { s: 1e9, ms: 1e6, us: 1e3, ns: 1 };

/** Nanoseconds of a span like `1.5ms`. */
function nanos(span) {
  const parts = /^([0-9.]+)(ns|us|ms|s)$/.exec(span);
  return parts ? Math.round(parseFloat(parts[1]) * UNITS[parts[2]]) : 0;
}

/** A span for people: three digits are enough. */
function spanText(ns) {
  for (const [unit, size] of [["s", 1e9], ["ms", 1e6], ["µs", 1e3]]) {
    if (ns >= size) return `${Number((ns / size).toPrecision(3))} ${unit}`;
  }
  return `${ns} ns`;
}

/** A point in time as the text form of a trace writes it: milliseconds with microseconds. */
function timeText(ns) {
  return (Math.floor(ns / 1e3) / 1e3).toFixed(3);
}

/** Kinds of events that are no frames, in the order of their chips. */
const OTHER_KINDS = ["call", "link", "process", "fault", "mark", "note", "failure"];
const FRAME_KINDS = ["hello", "open", "request", "response", "data", "grant", "cancel", "close",
  "ping", "goaway", "unknown"];
/** Control frames about one channel. */
const ABOUT = new Set(["open", "close", "cancel", "grant"]);

function readTrace(data) {
  const trace = data.trace;
  const laneOf = new Map(trace.processes.map((name, lane) => [name, lane]));
  // A trace that names a process nowhere else still gets a lane for it.
  const lane = (name) => {
    if (name === undefined || name === null) return -1;
    if (!laneOf.has(name)) {
      laneOf.set(name, trace.processes.length);
      trace.processes.push(name);
    }
    return laneOf.get(name);
  };
  const linkOf = new Map(trace.links.map((link) => [link.name, link]));
  const events = trace.events.map((raw, i) => {
    const event = { i, raw, at: nanos(raw.at), kind: raw.event, lane: -1, to: -1, tone: "" };
    READERS[raw.event]?.(event, raw, lane, linkOf, data.faults[i]);
    event.line = event.line === undefined ? raw.event : event.line.replace(/\s*\n\s*/g, " ⏎ ");
    const hay = [raw.at, event.kind, event.line, raw.text, raw.method, raw.from, raw.to, raw.link,
      raw.process, raw.payload_hash, raw.flags?.join(" "), event.channelName];
    event.hay = hay.filter((part) => part !== undefined).join("\u0000").toLowerCase();
    return event;
  });
  return { title: data.title, hash: trace.hash, processes: trace.processes, links: trace.links,
    events, lives: readLives(events, trace.processes.length) };
}

const READERS = {
  frame(event, raw, lane) {
    // One word, as in the text form.
    event.kind = raw.verb.replace("_", "");
    event.frame = true;
    event.lane = lane(raw.from);
    event.to = lane(raw.to);
    event.link = raw.link;
    event.life = raw.life;
    event.channel = raw.channel;
    // Control frames begin with the channel that they are about, if they are about one.
    const about = raw.channel === 0 && ABOUT.has(raw.verb) ? /^#(\d+)/.exec(raw.text) : null;
    event.about = about ? Number(about[1]) : raw.channel;
    event.channelKey = JSON.stringify([raw.link, raw.life, event.about]);
    event.channelName = raw.channel === 0 ? "" : `#${raw.channel}`;
    event.received = raw.received === null || raw.received === undefined ? null : nanos(raw.received);
    event.lost = event.received === null;
    event.error = raw.flags.includes("ERROR");
    const call = raw.verb === "request" || raw.verb === "response";
    const words = [(call && raw.method ? raw.method : "") + raw.text];
    if (raw.verb === "data" && raw.flags.includes("EOS")) words.push("end");
    if (raw.deadline) words.push(`within ${raw.deadline}`);
    if (raw.credit) words.push(`+${raw.credit} bytes`);
    if (event.lost) words.push("✗ lost");
    event.line = words.filter(Boolean).join(" ");
    // Above the arrow: the method, or what kind of frame it is.
    const method = raw.method ? raw.method.slice(raw.method.lastIndexOf(".") + 1) : "";
    event.label = `${event.about === 0 ? "" : `#${event.about}`} ${call && method ? method : event.kind}`.trim();
    if (event.error) event.tone = "bad";
  },
  fault(event, raw, lane, linkOf, words) {
    event.words = words;
    event.lane = lane(words.process);
    event.link = words.link;
    const ends = linkOf.get(words.link)?.ends;
    if (ends) [event.lane, event.to] = ends.map(lane);
    event.line = words.what + (raw.hit ? "" : " (nothing to hit)");
    event.tone = raw.hit ? "fault" : "quiet";
    event.alarm = raw.hit;
  },
  process(event, raw, lane) {
    event.lane = lane(raw.process);
    event.life = raw.life;
    const [change, value] = variant(raw.change);
    event.change = change;
    const words = { spawned: "spawned", ready: "ready for", killed: "killed", exited: "exited:",
      panicked: "panicked:", hung: "hangs", resumed: "goes on", finished: "finished" };
    const life = raw.life > 1 ? ` #${raw.life}` : "";
    event.line = `${raw.process}${life} ${words[change] ?? change}${value ? ` ${value}` : ""}`;
    event.alarm = change === "killed" || change === "panicked";
    event.tone = event.alarm ? "bad" : "";
  },
  link(event, raw, lane, linkOf) {
    event.link = raw.link;
    event.life = raw.life;
    const [change, value] = variant(raw.change);
    event.change = change;
    const ends = linkOf.get(raw.link)?.ends ?? [];
    if (change === "ended") event.lane = lane(value.at);
    else [event.lane, event.to] = [lane(ends[0]), lane(ends[1])];
    const life = raw.life > 1 ? ` #${raw.life}` : "";
    event.line = `link ${raw.link}${life} ` +
      (change === "ended" ? `ended at ${value.at}: ${value.reason}` : change);
  },
  call(event, raw, lane) {
    event.lane = lane(raw.process);
    const [end, value] = raw.outcome ? variant(raw.outcome) : ["begun"];
    event.change = end;
    const tail = { begun: " …", ok: ` = ${value}`, err: ` failed: ${value}`, dropped: " dropped" };
    event.line = `call ${raw.call} ${raw.label}${tail[end] ?? ` ${end}`}`;
    event.tone = end === "err" ? "bad" : "";
  },
  mark(event, raw) {
    event.line = raw.name;
    event.tone = "good";
  },
  note(event, raw, lane) {
    event.lane = lane(raw.process);
    event.line = `${raw.process}: ${raw.text}`;
  },
  failure(event, raw) {
    event.line = raw.text;
    event.tone = "bad";
    event.alarm = true;
  },
};

/** The name and the value of an enum in JSON: `"killed"`, or `{"exited": "why"}`. */
function variant(json) {
  if (typeof json === "string") return [json];
  return Object.entries(json)[0];
}

/**
 * The lives of each process: from which event to which, how it ended, and when it hung.
 * A process whose beginning is not in the trace has lived since before it.
 */
function readLives(events, lanes) {
  const lives = Array.from({ length: lanes }, () => []);
  const open = new Array(lanes).fill(null);
  const begin = (lane, from, life) => {
    open[lane] = { life, from, to: null, end: null, hung: [] };
    lives[lane].push(open[lane]);
  };
  const first = new Set();
  for (const event of events) {
    if (event.kind !== "process" || event.lane < 0) continue;
    const lane = event.lane;
    if (!first.has(lane)) {
      first.add(lane);
      if (event.change !== "spawned") begin(lane, null, event.life);
    }
    switch (event.change) {
      case "spawned":
        if (open[lane]) open[lane].to = event;
        begin(lane, event, event.life);
        break;
      case "hung":
        open[lane]?.hung.push({ from: event, to: null });
        break;
      case "resumed": {
        const hung = open[lane]?.hung.at(-1);
        if (hung && !hung.to) hung.to = event;
        break;
      }
      case "killed":
      case "exited":
      case "panicked":
      case "finished":
        if (open[lane]) {
          open[lane].to = event;
          open[lane].end = event.change;
          open[lane] = null;
        }
        break;
    }
  }
  for (let lane = 0; lane < lanes; lane++) {
    if (!first.has(lane)) begin(lane, null, 1);
  }
  return lives;
}
