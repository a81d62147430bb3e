// The curves of a training run. While it runs, the page loads itself anew; asr-train rewrites it.
const RELOAD_MS = 15000;
const data = pageData();
const figures = Object.fromEntries(Object.entries(data.figures).map(([name, array]) =>
  [name, Array.from(array.values, (value) => (Number.isFinite(value) ? value : null))]));
const epochs = figures.epoch ?? [];

// [title, explanation, {figure: label}]; a figure that stands in none of them gets a plot of its own.
const PLOTS = [
  ["Loss", "Per token. Where the held-out loss rises while the other falls, the network learns by heart.",
    { train_loss: "training", valid_loss: "held out" }],
  ["Error rates", "On held-out data: of words with the language model, of words by greedy decoding, of phones, of characters.",
    { valid_decoded_wer: "WER with LM", valid_wer: "WER greedy", valid_per: "PER", valid_cer: "CER" }],
  ["Error that chooses the best epoch", "Lower is better; best/ holds the weights of the lowest.", { valid_error: "error" }],
  ["Blanks", "Share of frames that are blank. Near 1 for long, the network does not listen yet.", { blank_rate: "blank rate" }],
  ["Other tokens", "Mean probability of anything but blank, and tokens emitted per token of the text.",
    { nonblank_prob: "probability", emitted: "emitted" }],
  ["Learning rate", "Of the last step of the epoch.", { learning_rate: "rate" }],
  ["Norm of the gradient", "Before clipping: median and largest of the epoch.", { grad_norm: "median", grad_norm_max: "largest" }],
  ["Clipped steps", "Share of steps whose gradient was clipped.", { clipped: "share" }],
  ["Speed", "Data per second.", { audio_s_per_s: "seconds of audio", tokens_per_s: "tokens", words_per_s: "words" }],
  ["Time of an epoch", "Without validation.", { seconds: "seconds" }],
];
if (figures.valid_cer && !figures.valid_wer) { // then the error is that of words
  delete PLOTS[2][2].valid_error;
  PLOTS[1][2] = { valid_error: "WER greedy", ...PLOTS[1][2] };
}
const NOT_PLOTTED = ["epoch", "step", "padding", "skipped_steps"];
const COLOURS = ["accent", "alarm", "doubt", "faint"];
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]]; // colour alone tells nothing to some
const BORDERS = ["solid", "dashed", "dotted", "double"];

/** What outlives a reload: {from, to, reload, x, y}. A browser may refuse to keep it. */
const kept = (() => {
  try {
    return JSON.parse(sessionStorage.getItem(location.pathname)) ?? {};
  } catch {
    return {};
  }
})();

function keep(changes) {
  Object.assign(kept, changes);
  try {
    sessionStorage.setItem(location.pathname, JSON.stringify(kept));
  } catch { /* then a reload forgets it */ }
}

/** Return the plots that have figures: known ones first, then one for each other figure. */
function chosenPlots() {
  const known = new Set([...NOT_PLOTTED, ...PLOTS.flatMap(([, , series]) => Object.keys(series))]);
  const others = Object.keys(figures).filter((name) => !known.has(name)).map((name) => [name, "", { [name]: name }]);
  const has = (name) => figures[name]?.some((value) => value !== null);
  return [...PLOTS, ...others].map(([title, note, series]) =>
    [title, note, Object.entries(series).filter(([name]) => has(name))]).filter(([, , series]) => series.length);
}

const shown = (value) => (value === null || value === undefined ? "–" : String(Number(value.toPrecision(4))));

function plot(title, note, series) {
  const place = element("section", {}, element("h2", {}, title), element("p", { className: "faint" }, note));
  document.getElementById("plots").append(place);
  const axis = { stroke: () => colour("ink"), grid: { stroke: () => colour("line"), width: 1 }, ticks: { stroke: () => colour("line"), width: 1 } };
  const atLast = (self) => { if (self.cursor.idx === null || self.cursor.idx === undefined) self.setLegend({ idx: epochs.length - 1 }, false); };
  const made = new uPlot({
    width: place.clientWidth,
    height: 220,
    cursor: { sync: { key: "epochs" }, drag: { x: true, y: false } },
    scales: { x: { time: false, range: (_, low, high) => (low === high ? [low - 0.5, high + 0.5] : [low, high]) } },
    axes: [{ ...axis, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] }, { ...axis, size: 72, values: (_, ticks) => ticks.map(shown) }],
    series: [
      { label: "epoch" },
      ...series.map(([, label], at) => ({
        label, stroke: () => colour(COLOURS[at]), dash: DASHES[at], width: 2,
        points: { show: epochs.length < 40, size: 5 }, value: (_, value) => shown(value),
      })),
    ],
    legend: { markers: { width: 3, dash: (_, at) => BORDERS[at - 1] } },
    hooks: { setSelect: [(self) => zoomed(self)], setCursor: [atLast] },
  }, [epochs, ...series.map(([name]) => figures[name])], place);
  atLast(made);
  return made;
}

const plots = chosenPlots().map((chosen) => plot(...chosen));
const first = document.getElementById("from");
const last = document.getElementById("to");

function zoomed(self) {
  if (self.select.width < 2) return;
  const [low, high] = [self.select.left, self.select.left + self.select.width].map((at) => self.posToVal(at, "x"));
  self.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  zoom(Math.max(1, Math.floor(low)), Math.min(epochs.at(-1), Math.ceil(high)));
}

/** Show epochs from low to high in all plots; all of them, later ones included, without arguments. */
function zoom(low, high) {
  const part = low !== undefined && high > low;
  const [from, to] = part ? [low, high] : [epochs[0] ?? 1, epochs.at(-1) ?? 1];
  first.value = from;
  last.value = to;
  keep({ from: part ? low : undefined, to: part ? high : undefined });
  for (const one of plots) one.setScale("x", { min: from, max: to });
}

function duration(seconds) {
  const minutes = seconds / 60;
  if (minutes < 1) return `${Math.round(seconds)} s`;
  return minutes < 90 ? `${Math.round(minutes)} min` : `${(minutes / 60).toFixed(1)} hours`;
}

/** Say how far the run is. A killed one cannot say that it stopped: its page grows old. */
function stateText() {
  const done = `${epochs.length} of ${data.epochs} epochs`;
  const at = new Date(1000 * data.written);
  const usual = Math.max(...(figures.seconds ?? [0])) + 60;
  const silent_s = Date.now() / 1000 - data.written;
  if (data.state === "finished") return `Finished: ${done}, ${at.toLocaleString()}.`;
  if (data.state === "stopped") return `Stopped: ${done}, ${at.toLocaleString()}; asr-train --resume goes on.`;
  if (data.state === "failed") return `Ended by an error: ${done}, ${at.toLocaleString()}; see the messages of asr-train.`;
  const left = data.left_s === null ? "" : `, ${duration(data.left_s)} left`;
  const old = epochs.length && silent_s > 3 * usual ? ` No news for ${duration(silent_s)}: the process may have been killed.` : "";
  return `Running: ${done}${left}, as of ${at.toLocaleString()}.${old}`;
}

function showTable() {
  const names = Object.keys(figures);
  const lines = epochs.map((_, at) => Object.fromEntries(names.map((name) => [name, figures[name][at]])));
  const columns = names.map((name) => ({
    title: name, number: true, value: (row) => row[name], text: (row) => shown(row[name]),
  }));
  const sort = columns.length ? { column: 0, direction: "descending" } : undefined;
  const table = new SortedTable({ caption: "All figures of log.jsonl", columns, rows: lines, shown: 20, sort });
  document.getElementById("table").append(table.element);
}

/** Say which epoch is the best, by error and then by loss, as asr-train chooses it. */
function showBest() {
  const error = figures.valid_error ?? [];
  const loss = figures.valid_loss ?? [];
  const order = epochs.map((_, at) => at).filter((at) => error[at] !== null && error[at] !== undefined)
    .sort((a, b) => error[a] - error[b] || loss[a] - loss[b]);
  if (!order.length) return;
  const labels = { valid_error: "error", valid_loss: "held-out loss", ...PLOTS[1][2] };
  const parts = Object.entries(labels)
    .filter(([name]) => figures[name]).map(([name, label]) => `${label} ${shown(figures[name][order[0]])}`);
  document.getElementById("best").textContent = `Best epoch so far: ${epochs[order[0]]} (${parts.join(", ")}).`;
}

function reloadLater() {
  const box = document.getElementById("reload");
  box.checked = kept.reload !== false;
  box.onchange = () => keep({ reload: box.checked });
  document.getElementById("reloading").hidden = data.state !== "running";
  if (data.state !== "running") return;
  let held = false; // a button of the mouse, for a zoom
  window.addEventListener("pointerdown", () => { held = true; });
  window.addEventListener("pointerup", () => { held = false; });
  setInterval(() => {
    if (!box.checked || held || document.hidden) return;
    location.reload();
  }, RELOAD_MS);
}

document.getElementById("title").textContent = `Training ${data.name}`;
document.getElementById("state").textContent = stateText();
document.getElementById("none").hidden = epochs.length > 0;
showBest();
showTable();
for (const input of [first, last]) input.onchange = () => zoom(Number(first.value), Number(last.value));
document.getElementById("whole").onclick = () => zoom();
zoom(kept.from, kept.to);
window.addEventListener("resize", () => {
  for (const one of plots) one.setSize({ width: one.root.parentElement.clientWidth, height: 220 });
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const one of plots) one.redraw(false);
});
reloadLater();
window.addEventListener("pagehide", () => keep({ x: scrollX, y: scrollY }));
scrollTo(kept.x ?? 0, kept.y ?? 0);
