// What the pages share: their data, arrays in it, colours, and elements.

/** Return the data that write_page put into the page. Arrays come as {shape, values}. */
function pageData() {
  return JSON.parse(document.getElementById("data").textContent, (_, value) =>
    value && value.base64 !== undefined && value.dtype ? unpacked(value) : value);
}

/** Return an array of write_page as {shape, values}, values in a typed array, last axis fastest. */
function unpacked({ dtype, shape, base64 }) {
  const kinds = { float32: Float32Array, int32: Int32Array, int16: Int16Array, uint8: Uint8Array };
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return { shape, values: new kinds[dtype](bytes.buffer) };
}

/** Return a colour of base.css, such as colour("accent"), as it is now, light or dark. */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Return a new element: element("p", { className: "faint" }, "text", child, ...). */
function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Return a share as a percentage with two decimals; "–" where there is none. */
function percent(share, digits = 2) {
  return share === null || Number.isNaN(share) ? "–" : (100 * share).toFixed(digits);
}

/** Return a count with its noun, "1 error" or "2 errors". */
function counted(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * A table whose headers sort it, and which makes no more rows than are looked at.
 *
 * columns: {title, value(row), text(row), number, wide, first}; value sorts, text is shown (a string
 *   or an element), number aligns to the right, a wide column is hidden on a phone, and first is
 *   the direction of the first click, "ascending" or "descending".
 * below: (row, width) => an element for a line of its own under the row, if there is to be one.
 */
class SortedTable {
  constructor({ caption, columns, rows, shown = 50, below, sort }) {
    Object.assign(this, { columns, rows, step: shown, shown, below });
    this.order = sort ?? null; // {column, direction}
    this.body = element("tbody");
    this.heads = columns.map((column, at) => this.head(column, at));
    const table = element("table", { className: "sorted" });
    if (caption) table.append(element("caption", {}, caption));
    table.append(element("thead", {}, element("tr", {}, ...this.heads)), this.body);
    this.more = element("button", { type: "button", onclick: () => this.showMore() });
    const scroll = element("div", { className: "scroll", tabIndex: 0, role: "region" }, table);
    scroll.setAttribute("aria-label", caption || "table");
    this.element = element("div", {}, scroll, this.more);
    this.show(rows);
  }

  head(column, at) {
    const button = element("button", { type: "button", onclick: () => this.sortBy(at) }, column.title);
    return element("th", { scope: "col", className: cellClass(column) }, button);
  }

  sortBy(at) {
    const again = this.order?.column === at;
    const first = this.columns[at].first ?? (this.columns[at].number ? "descending" : "ascending");
    const other = this.order?.direction === "ascending" ? "descending" : "ascending";
    this.order = { column: at, direction: again ? other : first };
    this.show(this.rows);
  }

  /** Show other rows, in the order that is chosen. */
  show(rows) {
    this.rows = rows;
    this.sorted = this.order ? sorted(rows, this.columns[this.order.column], this.order.direction) : rows;
    this.heads.forEach((head, at) => {
      if (at === this.order?.column) head.setAttribute("aria-sort", this.order.direction);
      else head.removeAttribute("aria-sort");
    });
    this.body.replaceChildren();
    this.shown = 0;
    this.showMore(false);
  }

  showMore(focus = true) {
    const next = this.sorted.slice(this.shown, this.shown + this.step).map((row) => this.lines(row));
    this.body.append(...next.flat());
    this.shown += next.length;
    const left = this.sorted.length - this.shown;
    this.more.hidden = left === 0;
    this.more.textContent = left <= this.step ? `Show the other ${left}` : `Show ${this.step} more of ${left}`;
    if (focus && left === 0) next[0]?.[0].querySelector("button")?.focus(); // the button is gone
  }

  lines(row) {
    const cells = this.columns.map((column) =>
      element("td", { className: cellClass(column) }, column.text(row)));
    const line = [element("tr", {}, ...cells)];
    const under = this.below?.(row);
    if (under) line.push(element("tr", {}, element("td", { colSpan: this.columns.length }, under)));
    return line;
  }
}

function cellClass({ number, wide }) {
  return [number && "number", wide && "wide"].filter(Boolean).join(" ");
}

/** Return the rows in the order of a column; rows without a value come last. */
function sorted(rows, { value }, direction) {
  const sign = direction === "ascending" ? 1 : -1;
  const missing = (found) => found === null || found === undefined || Number.isNaN(found);
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
  return rows.map((row) => [value(row), row]).sort(([a], [b]) =>
    missing(a) || missing(b) ? missing(a) - missing(b) : sign * compare(a, b)).map(([, row]) => row);
}

const player = new Audio();
let playing = null; // {button, end}

/** Return a button that plays a piece of a recording: {url, start, end, name}. */
function playButton({ url, start, end, name }) {
  const button = element("button", { type: "button", className: "play" });
  button.onclick = () => {
    const again = playing?.button === button;
    stopPlaying();
    if (again) return;
    playing = { button, end };
    label(button, "■ Stop", `Stop ${name}`);
    player.src = start || end !== null ? `${url}#t=${start},${end}` : url;
    player.play().catch((error) => {
      if (error.name === "AbortError") return; // stopped
      button.disabled = true;
      label(button, "no sound", `no sound: ${name} cannot be played, the file is not there, or of a kind that this browser does not play`);
    });
  };
  label(button, "▶ Play", `Play ${name}`);
  return button;
}

function label(button, text, long) {
  button.textContent = text;
  button.title = long;
  button.setAttribute("aria-label", long);
}

function stopPlaying() {
  player.pause();
  if (playing && !playing.button.disabled) {
    const name = playing.button.title.replace(/^Stop /, "");
    label(playing.button, "▶ Play", `Play ${name}`);
  }
  playing = null;
}

player.onended = stopPlaying;
player.onpause = () => {
  if (player.paused) stopPlaying(); // at the end of the piece; not where another one has begun
};
