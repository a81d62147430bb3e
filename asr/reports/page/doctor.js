// The report of asr-doctor: findings, histograms, characters, and utterances to hear.
const data = pageData();

// A file of frames has no url: there is nothing to hear.
const sound = (one) => one.url ? [playButton({ url: one.url, start: one.start, end: one.start + one.duration, name: one.id })] : [];

function exampleList(examples) {
  const items = examples.map(([text, one]) => element("li", {}, ...(one ? sound(one) : []), element("span", {}, text)));
  return element("ul", { className: "examples" }, ...items);
}

function showFinding(found) {
  const share = found.total ? `${found.count} of ${found.total} ` : "";
  const head = element("h3", {}, element("span", { className: "severity" }, found.severity), `${found.dataset}: ${share}${found.what}`);
  const box = element("article", { className: `finding ${found.severity}` }, head);
  if (found.why) box.append(element("p", { className: "faint" }, found.why));
  box.append(exampleList(found.examples), element("p", {}, `Remedy: ${found.remedy} [${found.kind}]`));
  return box;
}

const round = (value) => Number(value.toFixed(6));

/** Return a histogram whose bars are buttons that show some of their utterances. */
function chart({ title, unit, start, step, counts, examples }, shown) {
  const box = element("section", {}, element("h3", {}, `${title}, ${unit}`));
  if (!counts.length) {
    box.append(element("p", { className: "faint" }, "No utterance was measured."));
    return box;
  }
  const chosen = element("div", { className: "chosen", role: "status" });
  const most = Math.max(...counts);
  const bars = counts.map((count, at) => {
    const range = `${round(start + at * step)} to ${round(start + (at + 1) * step)} ${unit}`;
    const name = `${range}: ${counted(count, "utterance")}`;
    const bar = element("span");
    bar.style.height = `${(100 * count) / most}%`;
    const button = element("button", { type: "button", title: name, disabled: count === 0 }, bar);
    button.setAttribute("aria-label", name);
    button.setAttribute("aria-pressed", "false");
    button.onclick = () => {
      for (const other of bars) other.setAttribute("aria-pressed", String(other === button));
      chosen.replaceChildren(element("p", {}, `${name}${count > examples[at].length ? ", the first of them" : ""}`),
        exampleList(examples[at].map((place) => [described(shown[place]), shown[place]])));
    };
    return button;
  });
  const total = counts.reduce((a, b) => a + b, 0);
  box.append(element("div", { className: "bars" }, ...bars),
    element("div", { className: "ends" }, element("span", {}, String(round(start))),
      element("span", {}, `highest bar: ${most} of ${total}`),
      element("span", {}, String(round(start + counts.length * step)))), chosen);
  return box;
}

const described = (one) => `${one.id}, ${one.duration.toFixed(1)} s: ${one.text}`;

function letterTable({ dataset, letters, shown }) {
  const chosen = element("div", { className: "chosen", role: "status" });
  const code = (row) => `U+${row.letter.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  const name = (row) => (row.letter.trim() ? row.letter : row.letter === " " ? "space" : code(row));
  const pick = (row) => element("button", {
    type: "button", className: "pick",
    onclick: () => chosen.replaceChildren(element("p", {}, `With ${name(row)}:`),
      exampleList(row.examples.map((place) => [described(shown[place]), shown[place]]))),
  }, name(row));
  const columns = [
    { title: "Character", value: (row) => row.letter, text: pick },
    { title: "Code", value: (row) => row.letter.codePointAt(0), text: code },
    { title: "Times", number: true, value: (row) => row.count, text: (row) => String(row.count) },
    { title: "Utterances", number: true, value: (row) => row.utterances, text: (row) => String(row.utterances) },
  ];
  const table = new SortedTable({ caption: `Characters of the normalised texts: ${dataset}`, columns, rows: letters, shown: 12 });
  return element("section", {}, table.element, chosen);
}

function showSet(set) {
  const files = [
    ...Object.entries(set.sample_rates_hz).map(([rate, count]) => `${count} at ${rate} Hz`),
    ...Object.entries(set.frame_widths).map(([width, count]) => `${count} with frames of ${counted(Number(width), "value")}`),
  ].join(", ");
  const facts = `${set.path}: ${counted(set.utterances, "utterance")}, ${set.hours.toFixed(2)} hours, ${set.speakers ? counted(set.speakers, "speaker") : "no speakers"} named; ` +
    `${files}; listened to ${set.listened}`;
  const parts = [...set.charts.map((one) => chart(one, set.shown)), letterTable(set)];
  return element("section", {}, element("h2", {}, `Set: ${set.dataset}`),
    element("p", { className: "faint" }, facts), element("div", { className: "charts" }, ...parts));
}

document.getElementById("title").textContent = data.title;
document.getElementById("counts").textContent =
  Object.entries(data.counts).map(([severity, count]) => counted(count, severity)).join(", ");
document.getElementById("nothing").hidden = data.findings.length > 0;
document.getElementById("findings").append(...data.findings.map(showFinding));
document.getElementById("sets").append(...data.sets.map(showSet));
document.getElementById("notes").append(...data.notes.map((line) => element("li", {}, line)));
