// The report of an evaluation: score, classes of utterances, confidences, every utterance.
const data = pageData();
const rows = utteranceRows(data.utterances);
const filter = { text: "", which: "all", only: null }; // only: {title, holds(row)}

/** Return a row object for each utterance, from columns. */
function utteranceRows(columns) {
  let at = 0; // among the confidences of all words
  return columns.id.map((id, place) => {
    const steps = columns.steps[place];
    const heard = steps.filter((step) => typeof step === "string" || step[0] !== "D").length;
    const confidences = columns.confidences.values.subarray(at, at + heard);
    at += heard;
    const words = columns.words.values[place];
    const errors = columns.errors.values[place];
    const end = columns.start[place] + columns.duration[place];
    return {
      place, id, steps, confidences, words, errors,
      speaker: columns.speaker[place] ?? "?",
      duration: columns.duration[place],
      rate: words ? errors / words : errors ? Infinity : 0,
      confidence: heard ? confidences.reduce((a, b) => a + b, 0) / heard : NaN,
      range_db: columns.range_db.values[place],
      sound: { url: columns.audio[place], start: columns.start[place], end, name: id },
      other: data.other ? columns.other_steps[place] ?? steps : null,
      otherErrors: columns.other_errors.values[place] ?? null,
    };
  });
}

const said = (steps, side) => steps.map((step) => (typeof step === "string" ? step : step[side])).filter(Boolean);

/** Return what the search looks through: made when it is first asked for. */
function searched(row) {
  row.haystack ??= [row.id, row.speaker, said(row.steps, 1).join(" "), said(row.steps, 2).join(" "),
    row.other ? said(row.other, 2).join(" ") : ""].join("\n").toLowerCase();
  return row.haystack;
}

function showScore() {
  document.getElementById("title").textContent = `Evaluation of ${data.name}`;
  const seconds = data.utterances.duration.reduce((a, b) => a + b, 0);
  const facts = Object.entries(data.facts).map(([name, value]) => `${name}: ${value}`);
  facts.push(`${counted(rows.length, "utterance")}, ${(seconds / 3600).toFixed(2)} hours`);
  document.getElementById("facts").textContent = facts.join(" · ");
  const systems = [{ name: data.name, ...data.total }, ...(data.other ? [data.other] : [])];
  const table = element("table", { className: "score" });
  const titles = ["System", "% WER", "95 % interval", "Insertions", "Deletions", "Substitutions", "Words", "% CER", "% wrong utterances"];
  table.append(element("caption", { className: "hidden" }, "Score"),
    element("thead", {}, element("tr", {}, ...titles.map((title, at) =>
      element("th", { scope: "col", className: at ? "number" : "" }, title)))),
    element("tbody", {}, ...systems.map(scoreLine)));
  document.getElementById("score").append(table);
  showComparison(data.comparison);
  document.getElementById("remarks").append(...data.remarks.map((remark) => element("li", {}, remark)));
}

function scoreLine(score) {
  const interval = score.wer_ci ? score.wer_ci.map((limit) => percent(limit)).join(" to ") : "–";
  const cells = [percent(score.wer), interval, score.ins, score.del, score.sub, score.words, percent(score.cer), percent(score.ser)];
  return element("tr", {}, element("th", { scope: "row" }, score.name),
    ...cells.map((text) => element("td", { className: "number" }, String(text))));
}

function showComparison(comparison) {
  if (!comparison) return;
  const verdict = document.getElementById("verdict");
  verdict.hidden = false;
  verdict.textContent = `${comparison.verdict}.`;
  if (comparison.difference_ci) {
    const limits = comparison.difference_ci.map((limit) => percent(limit)).join(" to ");
    verdict.append(` The 95 % interval of the difference is ${limits} points, over ${comparison.ci_units}.`);
  }
  const tests = document.getElementById("tests");
  tests.hidden = false;
  const p = (test) => (test.p < 0.001 ? "< 0.001" : test.p.toFixed(3));
  tests.append(new SortedTable({
    caption: "Tests of the difference, two-sided",
    rows: comparison.tests,
    columns: [
      { title: "Test", value: (test) => test.name, text: (test) => test.name },
      { title: "Statistic", number: true, value: (test) => test.statistic, text: (test) => test.statistic.toPrecision(4) },
      { title: "p", number: true, first: "ascending", value: (test) => test.p, text: p },
      { title: "Detail", value: (test) => test.detail, text: (test) => test.detail },
    ],
  }).element);
}

function showGroups() {
  const place = document.getElementById("groups");
  for (const group of data.groups) {
    const lines = group.rows.map((row, at) => ({ ...row, at }));
    const pick = (row) => pickButton(row.name, () =>
      only(`${group.title}: ${row.name}`, (utterance) => group.classes.values[utterance.place] === row.at));
    const columns = [
      { title: group.title, value: (row) => row.at, text: pick },
      count("Utterances", "utterances"), count("Words", "words"), count("Errors", "errors"),
      rate("% WER", "wer"), ...(data.other ? [rate("Other % WER", "other_wer")] : []),
    ];
    const table = new SortedTable({ caption: `By ${group.title.toLowerCase()}`, columns, rows: lines, shown: 12 });
    place.append(element("div", { className: "group" }, table.element, element("p", { className: "faint" }, group.note)));
  }
  showWords();
}

const count = (title, key) => ({ title, number: true, value: (row) => row[key], text: (row) => String(row[key]) });
const rate = (title, key) => ({ title, number: true, value: (row) => row[key], text: (row) => percent(row[key]) });

function showWords() {
  const place = document.getElementById("words");
  const kinds = [
    ["Substituted words", "S", data.words.confused],
    ["Deleted words", "D", data.words.missed.map(([ref, number]) => [ref, null, number])],
    ["Inserted words", "I", data.words.invented.map(([hyp, number]) => [null, hyp, number])],
  ];
  for (const [caption, mark, found] of kinds) {
    const name = ([ref, hyp]) => [ref, hyp].filter((word) => word !== null).join(" → ");
    const same = (step, [ref, hyp]) => step[0] === mark && step[1] === ref && step[2] === hyp;
    const pick = (row) => pickButton(name(row), () => only(`${caption}: ${name(row)}`, (utterance) =>
      utterance.steps.some((step) => typeof step !== "string" && same(step, row))));
    const columns = [
      { title: mark === "S" ? "Reference → hypothesis" : "Word", value: name, text: pick },
      { title: "Times", number: true, value: (row) => row[2], text: (row) => String(row[2]) },
    ];
    const table = found.length
      ? new SortedTable({ caption, columns, rows: found, shown: 10 }).element
      : element("p", {}, `${caption}: none`);
    place.append(element("div", { className: "group" }, table));
  }
}

function pickButton(text, onclick) {
  return element("button", { type: "button", className: "pick", onclick }, text);
}

function showReliability() {
  const bins = data.bins;
  const note = document.getElementById("reliability-note");
  if (!bins) {
    note.textContent = "No recognised word has a confidence.";
    return;
  }
  const words = bins.counts.reduce((a, b) => a + b, 0);
  note.textContent = "Of the words with confidence p, a share of p should be right: then all circles lie on the " +
    `dashed line. Below it, confidences are too high. Over ${counted(words, "word")} the expected calibration error is ${bins.error.toFixed(3)}.`;
  const lines = bins.counts.map((number, at) => ({ low: bins.low[at], number, claimed: bins.claimed[at], right: bins.right[at] }));
  const columns = [
    { title: "Confidence", value: (row) => row.low, text: (row) => `${row.low.toFixed(1)} to ${(row.low + 0.1).toFixed(1)}` },
    { title: "Words", number: true, value: (row) => row.number, text: (row) => String(row.number) },
    { title: "Mean confidence", number: true, value: (row) => row.claimed, text: (row) => row.claimed.toFixed(3) },
    { title: "Share right", number: true, value: (row) => row.right, text: (row) => row.right.toFixed(3) },
  ];
  const table = new SortedTable({ caption: "Words by confidence", columns, rows: lines });
  document.getElementById("reliability").append(reliabilityPlot(lines), table.element);
}

function drawn(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function reliabilityPlot(lines) {
  const x = (share) => 40 + 250 * share;
  const y = (share) => 260 - 250 * share;
  const most = Math.max(...lines.map((row) => row.number));
  const parts = [
    drawn("rect", { class: "frame", x: 40, y: 10, width: 250, height: 250 }),
    drawn("line", { class: "even", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
    ...[0, 0.5, 1].flatMap((share) => [
      drawn("text", { x: x(share), y: 276, "text-anchor": "middle" }, String(share)),
      drawn("text", { x: 34, y: y(share) + 4, "text-anchor": "end" }, String(share)),
    ]),
    drawn("text", { x: 165, y: 292, "text-anchor": "middle" }, "confidence"),
    drawn("text", { x: 12, y: 135, "text-anchor": "middle", transform: "rotate(-90 12 135)" }, "share of right words"),
    ...lines.map((row) => drawn("circle", { cx: x(row.claimed), cy: y(row.right), r: 3 + 11 * Math.sqrt(row.number / most) })),
  ];
  const title = "Share of right words against confidence; the table beside it has the figures";
  return drawn("svg", { class: "plot", viewBox: "0 0 304 300", role: "img", "aria-label": title }, ...parts);
}

/** Return an alignment as a line of words, with the confidences of the recognised ones if known. */
function alignment(steps, confidences) {
  let heard = 0;
  const parts = steps.map((step) => {
    const right = typeof step === "string";
    const [mark, ref, hyp] = right ? ["", step, step] : step;
    const below = element("span", {}, hyp ?? "∅");
    const confidence = hyp !== null && confidences ? confidences[heard++] : NaN; // NaN: not known
    if (!Number.isNaN(confidence)) {
      below.title = `confidence ${confidence.toFixed(2)}`;
      if (confidence < 0.5) below.className = "doubt";
    }
    return element("span", { className: `step ${mark || "same"}` },
      ...(mark ? [element("span", { className: "mark" }, mark)] : []), element("span", {}, ref ?? "∅"), below);
  });
  const line = element("div", { className: "alignment" }, ...parts);
  line.setAttribute("aria-hidden", "true");
  const spoken = `Reference: ${said(steps, 1).join(" ")}. Hypothesis: ${said(steps, 2).join(" ")}.`;
  return [line, element("p", { className: "hidden" }, spoken)];
}

function aligned(row) {
  const box = element("div", {}, ...alignment(row.steps, row.confidences));
  if (row.other && row.other !== row.steps) {
    box.append(element("p", { className: "faint" }, `${data.other.name}: ${counted(row.otherErrors, "error")}`), ...alignment(row.other));
  }
  return box;
}

const table = new SortedTable({
  caption: "Utterances",
  rows: [],
  shown: 50,
  below: aligned,
  sort: { column: 5, direction: "descending" },
  columns: [
    { title: "Sound", value: (row) => row.place, text: (row) => (row.sound.url ? playButton(row.sound) : "–") },
    { title: "Utterance", value: (row) => row.id, text: (row) => row.id },
    { title: "Speaker", wide: true, value: (row) => row.speaker, text: (row) => row.speaker },
    { title: "Seconds", wide: true, number: true, value: (row) => row.duration, text: (row) => row.duration.toFixed(1) },
    { title: "Words", wide: true, number: true, value: (row) => row.words, text: (row) => String(row.words) },
    { title: "Errors", number: true, value: (row) => row.errors, text: (row) => String(row.errors) },
    { title: "% WER", number: true, value: (row) => row.rate, text: (row) => (row.rate === Infinity ? "∞" : percent(row.rate, 1)) },
    { title: "Confidence", number: true, wide: true, first: "ascending", value: (row) => row.confidence, text: (row) => (row.confidence >= 0 ? row.confidence.toFixed(2) : "–") },
    { title: "Level range, dB", number: true, wide: true, first: "ascending", value: (row) => row.range_db, text: (row) => (Number.isNaN(row.range_db) ? "–" : row.range_db.toFixed(0)) },
    ...(data.other ? [{ title: "More than other", number: true, value: (row) => row.errors - row.otherErrors, text: (row) => `${row.errors - row.otherErrors}` }] : []),
  ],
});

const KINDS = {
  all: ["all utterances", () => true],
  wrong: ["utterances with errors", (row) => row.errors > 0],
  right: ["utterances without errors", (row) => row.errors === 0],
  ...(data.other ? {
    worse: [`worse than ${data.other.name}`, (row) => row.errors > row.otherErrors],
    better: [`better than ${data.other.name}`, (row) => row.errors < row.otherErrors],
  } : {}),
};

function only(title, holds) {
  filter.only = { title, holds };
  update();
  document.getElementById("utterances-title").scrollIntoView();
}

function update() {
  const wanted = filter.text.toLowerCase();
  const holds = [KINDS[filter.which][1], ...(filter.only ? [filter.only.holds] : [])];
  const found = rows.filter((row) => holds.every((hold) => hold(row)) && (!wanted || searched(row).includes(wanted)));
  const errors = found.reduce((sum, row) => sum + row.errors, 0);
  const words = found.reduce((sum, row) => sum + row.words, 0);
  const score = words ? `, ${counted(errors, "error")} in ${counted(words, "word")}, ${percent(errors / words)} % WER` : "";
  document.getElementById("found").textContent = `${found.length} of ${counted(rows.length, "utterance")}${score}`;
  const all = document.getElementById("all");
  all.hidden = !filter.only;
  all.textContent = `Not only ${filter.only?.title}`;
  table.show(found);
}

function listen() {
  const which = document.getElementById("which");
  which.append(...Object.entries(KINDS).map(([value, [text]]) => element("option", { value }, text)));
  which.onchange = () => { filter.which = which.value; update(); };
  const search = document.getElementById("search");
  search.oninput = () => { filter.text = search.value.trim(); update(); };
  document.getElementById("all").onclick = () => { filter.only = null; update(); search.focus(); };
}

showScore();
showGroups();
showReliability();
listen();
document.getElementById("utterances").append(table.element);
update();
