// Which events are shown, and where: a row for each, and time to pixels.

const ROW = 26;
/** The usual pause makes the distance of two rows larger by this much, longer ones in proportion … */
const PAUSE = 10;
/** … up to this much. */
const PAUSE_MAX = 44;
/** Pauses longer than so many usual ones are cut out. */
const CUT = 20;
/** The height of a place where time was cut out. */
const BREAK = 40;
const TOP = 12;
/** Frames that take no time still lean, so that one sees which end is the later one. */
const LEAN = 8;
/** Rows are found again by blocks of this height. */
const BLOCK = 1024;

/**
 * Places events. `shown` decides which of them; the rest takes no room.
 *
 * The result maps time to pixels without ever going back: of two things the later one is never
 * drawn above the earlier one.
 */
function layOut(model, shown) {
  const rows = [];
  for (const event of model.events) {
    event.row = -1;
    if (shown(event)) rows.push(event);
  }
  const breaks = [];
  const unit = usualPause(rows);
  let y = TOP + ROW / 2;
  rows.forEach((event, row) => {
    if (row > 0) {
      y += ROW;
      const pause = event.at - rows[row - 1].at;
      if (pause > unit * CUT) {
        breaks.push({ y: y - ROW / 2 + BREAK / 2, pause });
        y += BREAK;
      } else {
        y += Math.min((Math.max(pause, 0) / unit) * PAUSE, PAUSE_MAX);
      }
    }
    event.row = row;
    event.y = y;
  });

  const alarms = rows.filter((event) => event.alarm);
  const layout = { rows, alarms, breaks, height: y + ROW / 2 + 48 };
  layout.yOf = (at, after) => yOf(rows, at, after);
  for (const event of rows) {
    if (!event.frame || event.lost) event.yTo = event.y + LEAN;
    else event.yTo = Math.max(yOf(rows, event.received, event.row), event.y + LEAN);
  }
  layout.arrows = blocks(rows.filter((event) => event.frame));
  return layout;
}

/** What counts as the usual pause: the median of those that are pauses at all. */
function usualPause(rows) {
  const pauses = [];
  for (let i = 1; i < rows.length; i++) {
    const pause = rows[i].at - rows[i - 1].at;
    if (pause > 0) pauses.push(pause);
  }
  pauses.sort((a, b) => a - b);
  return Math.max(pauses[Math.floor(pauses.length / 2)] ?? 1, 1);
}

/** Where `at` is: on the first row of that time behind row `after`, else between two rows. */
function yOf(rows, at, after) {
  let low = after + 1;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle].at < at) low = middle + 1;
    else high = middle;
  }
  const before = rows[low - 1];
  const next = rows[low];
  if (!next) return before ? before.y + ROW * 0.8 : TOP;
  if (!before || at <= before.at) return before ? before.y : next.y;
  return before.y + ((at - before.at) / (next.at - before.at)) * (next.y - before.y);
}

/** Arrows by the blocks of the page that they pass through. */
function blocks(arrows) {
  const found = new Map();
  for (const event of arrows) {
    const last = Math.floor((event.yTo + ROW) / BLOCK);
    for (let block = Math.floor((event.y - ROW) / BLOCK); block <= last; block++) {
      if (!found.has(block)) found.set(block, []);
      found.get(block).push(event);
    }
  }
  return found;
}

/** The arrows that are visible between two heights, each once, oldest first. */
function arrowsBetween(layout, top, bottom) {
  const found = new Set();
  for (let block = Math.floor(top / BLOCK); block <= Math.floor(bottom / BLOCK); block++) {
    for (const event of layout.arrows.get(block) ?? []) {
      if (event.yTo >= top - ROW && event.y <= bottom + ROW) found.add(event);
    }
  }
  return [...found].sort((a, b) => a.i - b.i);
}

/** The first row at or below a height. */
function rowAt(layout, y) {
  let low = 0;
  let high = layout.rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (layout.rows[middle].y + ROW / 2 < y) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The first break at or below a height. */
function breakAt(layout, y) {
  let low = 0;
  let high = layout.breaks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (layout.breaks[middle].y + BREAK < y) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Across: a column for the time, one for each process, the rest for text. */
function columns(lanes, room) {
  const time = 96;
  const text = Math.max(300, Math.min(560, room * 0.4));
  const lane = Math.max(96, Math.min(210, (room - time - text) / Math.max(lanes, 1)));
  const textAt = time + lanes * lane + 12;
  return { time, lane, textAt, width: Math.max(room, textAt + text),
    x: (i) => time + lane * (i + 0.5) };
}
