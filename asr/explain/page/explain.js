// The page of asr-explain: pictures on one time axis, with one cursor and one view of all of them.

const data = pageData();
const byId = (id) => document.getElementById(id);
const shift = { input: data.input_shift_ms / 1000, output: data.output_shift_ms / 1000 };
const duration = data.samples.values.length / data.rate_hz;
const view = { from: 0, to: duration }; // seconds of the piece that are shown
const SHORTEST = Math.min(0.2, duration);
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 2]];
const HUES = ["accent", "alarm", "doubt", "ink", "faint"];
const FALLEN = 0.01;
let at = 0; // the cursor, seconds of the piece
let gutter = 56; // pixels left of the time axis, for labels
let chosen = { layer: 0, kind: "", cell: 0 };
let curves, reachPlot, distancePlot;

const STEP = { lstm: "lstm_step in lstm.py", gru: "gru_step in explain/cells.py", rnn: "rnn_step in explain/cells.py" }[data.cell];
const HIDDEN = {
  lstm: "What the layer above reads, and the cell itself in its next step. h = o · tanh(c)",
  gru: "What the cell remembers, and what the layer above reads. h = z · h′ + (1 − z) · tanh(W x + r · (R h′ + b))",
  rnn: "What the layer above reads, and all that the cell remembers; it is computed anew in each frame. h = tanh(W x + R h′ + b)",
}[data.cell];
const KINDS = {
  input_gate: ["Input gate i", "How much of the new content is let in, from 0 to 1. i = sigmoid(W x + R h′ + b)"],
  reset_gate: ["Reset gate r", "How much of the old content the new content is computed from, from 0 to 1. r = sigmoid(W x + R h′ + b)"],
  forget_gate: ["Forget gate f", "How much of the old content is kept, from 0 (forget) to 1 (keep). f = sigmoid(W x + R h′ + b)"],
  update_gate: ["Update gate z", "How much of the old content is kept, from 0 (replace) to 1 (keep). z = sigmoid(W x + R h′ + b)"],
  output_gate: ["Output gate o", "How much of the content is shown to the rest of the network, from 0 to 1. o = sigmoid(W x + R h′ + b)"],
  cell_state: ["Cell state c", "The content itself, the long-term memory: some of the old, and some new. c = f · c′ + i · g"],
  hidden_state: ["Hidden state h", HIDDEN],
};
const LETTERS = { input_gate: "i", reset_gate: "r", forget_gate: "f", update_gate: "z", output_gate: "o", cell_state: "c", hidden_state: "h" };
const KEEPING = { lstm: "forget_gate", gru: "update_gate" }[data.cell]; // says how much of the old content is kept

// --- numbers -------------------------------------------------------------------------------------

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const clock = (seconds) => `${(data.start + seconds).toFixed(2)} s`;
const shown = (token) => ({ "<blank>": "∅", " ": "␣" })[token] ?? token;
const frameAt = (seconds, step, count) => clamp(Math.floor(seconds / step + 1e-6), 0, count - 1);

/** Return the value of a picture's row and column. */
function valueOf({ bytes, low, high }, row, column) {
  return low + (bytes.values[row * bytes.shape[1] + column] / 255) * (high - low);
}

// --- pictures ------------------------------------------------------------------------------------

/** Return [r, g, b] of a colour of base.css. */
function parts(name) {
  const hex = colour(name).slice(1);
  return [0, 2, 4].map((place) => parseInt(hex.slice(place, place + 2), 16));
}

/** Return the 256 colours of bytes: from paper to ink; with a sign, from doubt by paper to accent. */
function palette(signed) {
  const [paper, high, low] = [parts("paper"), parts(signed ? "accent" : "ink"), parts("doubt")];
  return Uint32Array.from({ length: 256 }, (_, byte) => {
    const share = signed ? (byte - 127.5) / 127.5 : byte / 255;
    const end = share < 0 ? low : high;
    const [red, green, blue] = paper.map((part, i) => part + Math.abs(share) * (end[i] - part));
    return (255 << 24) | (blue << 16) | (green << 8) | red;
  });
}

/** Return a picture as a canvas, a pixel for each value; the first row on top, unless `upward`. */
function painted({ bytes }, { upward = false, signed = false } = {}) {
  const [rows, columns] = bytes.shape;
  const canvas = element("canvas", { width: columns, height: rows });
  const image = new ImageData(columns, rows);
  const pixels = new Uint32Array(image.data.buffer);
  const colours = palette(signed);
  for (let row = 0; row < rows; row++) {
    const target = (upward ? rows - 1 - row : row) * columns;
    for (let column = 0; column < columns; column++) {
      pixels[target + column] = colours[bytes.values[row * columns + column]];
    }
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** Size a canvas for the screen; return its context, cleared, and its size in CSS pixels. */
function prepared(canvas) {
  const scale = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  return { context, width, height };
}

const xOf = (seconds, width) => gutter + ((seconds - view.from) / (view.to - view.from)) * (width - gutter);

/** Draw a painted picture, whose columns are `step` seconds, under the time axis. */
function drawPicture(canvas, picture, step) {
  const { context, width, height } = prepared(canvas);
  context.imageSmoothingEnabled = false;
  context.save();
  context.beginPath();
  context.rect(gutter, 0, width - gutter, height);
  context.clip();
  const left = xOf(0, width);
  context.drawImage(picture, left, 0, xOf(picture.width * step, width) - left, height);
  context.restore();
  return { context, width, height };
}

/** Write a label into the gutter. */
function rowLabel(context, text, y) {
  context.fillStyle = colour("faint");
  context.textAlign = "right";
  context.fillText(text, gutter - 4, y);
}

// --- rows: each has draw(), for a new view, and tell(), for a new place of the cursor ------------

const rows = [];

function drawAxis() {
  const { context, width, height } = prepared(byId("axis"));
  const steps = [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];
  const step = steps.find((each) => (each / (view.to - view.from)) * (width - gutter) > 56) ?? 20;
  context.fillStyle = colour("ink");
  context.strokeStyle = colour("faint");
  context.textAlign = "center";
  const first = Math.ceil((data.start + view.from) / step - 1e-9);
  for (let number = first; number * step <= data.start + view.to + 1e-9; number++) {
    const x = xOf(number * step - data.start, width);
    context.strokeRect(x, height - 4, 0, 4);
    if (x < width - 12) context.fillText((number * step).toFixed(step < 1 ? (step < 0.1 ? 2 : 1) : 0), x, 9);
  }
  context.fillText("s", 8, 9);
}
rows.push({ draw: drawAxis });

function drawSound() {
  const { context, width, height } = prepared(byId("sound"));
  const samples = data.samples.values;
  const perPixel = ((view.to - view.from) * data.rate_hz) / (width - gutter);
  const loudest = samples.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  context.fillStyle = colour("accent");
  for (let x = 0; x < width - gutter; x++) {
    const first = Math.floor(view.from * data.rate_hz + x * perPixel);
    const stop = Math.min(Math.max(first + 1, Math.floor(first + perPixel)), samples.length);
    let [low, high] = [Infinity, -Infinity];
    for (let i = first; i < stop; i++) {
      low = Math.min(low, samples[i]);
      high = Math.max(high, samples[i]);
    }
    const y = (value) => (height / 2) * (1 - (0.95 * value) / loudest);
    if (low <= high) context.fillRect(gutter + x, y(high), 1, Math.max(1, y(low) - y(high)));
  }
  rowLabel(context, (loudest / 32767).toFixed(2), 8);
  rowLabel(context, "0", height / 2);
}
rows.push({ draw: drawSound });

const wordAt = (seconds) => data.words.findIndex((word) => word.start <= seconds && seconds < word.end);

function drawSpoken() {
  const { context, width, height } = prepared(byId("spoken"));
  context.textAlign = "center";
  context.save();
  context.beginPath();
  context.rect(gutter, 0, width - gutter, height);
  context.clip();
  for (const word of data.words) {
    const [left, right] = [xOf(word.start, width), xOf(word.end, width)];
    context.strokeStyle = colour("faint");
    context.strokeRect(left + 0.5, 1.5, right - left - 1, 38);
    context.fillStyle = colour("accent");
    context.fillRect(left + 1, 36, (right - left - 2) * word.confidence, 3);
    context.fillStyle = colour("ink");
    const fits = (text) => context.measureText(text).width < right - left - 4;
    if (fits(word.word)) context.fillText(word.word, (left + right) / 2, 12);
    const sure = `${percent(word.confidence, 0)} %`;
    if (fits(sure)) context.fillText(sure, (left + right) / 2, 27);
  }
  let end = -Infinity;
  for (const { token, first, stop } of data.spelling) {
    const middle = xOf(((first + stop) / 2) * shift.output, width);
    const half = context.measureText(shown(token)).width / 2;
    context.fillStyle = colour("accent");
    context.fillRect(xOf(first * shift.output, width), 43, Math.max(2, ((stop - first) * shift.output / (view.to - view.from)) * (width - gutter)), 3);
    context.fillStyle = colour("ink");
    if (middle - half > end) {
      context.fillText(shown(token), middle, 56);
      end = middle + half + 2;
    }
  }
  for (const word of data.known?.words ?? []) {
    const [left, right] = [xOf(word.start, width), xOf(word.end, width)];
    context.strokeStyle = colour("faint");
    context.strokeRect(left + 0.5, 69.5, right - left - 1, 19);
    if (context.measureText(word.word).width < right - left - 4) context.fillText(word.word, (left + right) / 2, 79);
  }
  context.restore();
  if (data.known) rowLabel(context, "given", 79);
  rowLabel(context, "words", 12);
  rowLabel(context, data.unit, 56);
}
rows.push({ draw: drawSpoken });

/** Make a row of a picture with rows and columns; `name` tells a row's name. */
function pictureRow(id, picture, step, options, name, labels) {
  const canvas = byId(id);
  let image;
  rows.push({
    paint: () => { image = painted(picture, options); },
    draw: () => {
      const { context, height } = drawPicture(canvas, image, step);
      for (const [row, text] of labels) {
        const share = (row + 0.5) / picture.bytes.shape[0];
        rowLabel(context, text, clamp(height * (options.upward ? 1 - share : share), 6, height - 6));
      }
    },
    tell: () => {
      const column = frameAt(at, step, picture.bytes.shape[1]);
      const values = Array.from({ length: picture.bytes.shape[0] }, (_, row) => valueOf(picture, row, column));
      const highest = values.indexOf(Math.max(...values));
      byId(`${id}-value`).textContent =
        `At the cursor, frame ${column}: highest is ${name(highest)} with ${values[highest].toFixed(2)}.`;
    },
  });
}
pictureRow("mel", data.log_mel, shift.input, { upward: true }, (band) => `band ${band + 1}`,
  [[0, "band 1"], [data.log_mel.bytes.shape[0] - 1, `band ${data.log_mel.bytes.shape[0]}`]]);
const orders = Math.round(data.features.bytes.shape[0] / data.num_ceps);
const featureName = (row) => `${["c", "delta c", "delta delta c"][Math.floor(row / data.num_ceps)]}${row % data.num_ceps}`;
pictureRow("mfcc", data.features, shift.input, { upward: true, signed: true }, featureName,
  Array.from({ length: orders }, (_, order) => [(order + 0.5) * data.num_ceps, ["c", "Δ c", "ΔΔ c"][order]]));

// --- posteriors ----------------------------------------------------------------------------------

const posteriors = data.posteriors;
const tokenCount = posteriors.tokens.length;
byId("posteriors").style.height = `${clamp(tokenCount * 11, 120, 520)}px`;
let posteriorImage;

function drawPosteriors() {
  const { context, width, height } = drawPicture(byId("posteriors"), posteriorImage, shift.output);
  const tall = height / tokenCount;
  posteriors.tokens.forEach((token, row) => rowLabel(context, shown(token), (row + 0.5) * tall));
  const radius = clamp(tall / 2 - 1, 2, 5);
  context.save();
  context.beginPath();
  context.rect(gutter, 0, width - gutter, height);
  context.clip();
  context.fillStyle = colour("alarm");
  context.strokeStyle = colour("accent");
  context.lineWidth = 1.5;
  const marks = [
    [posteriors.best, (x, y) => { context.arc(x, y, radius * 0.45, 0, 2 * Math.PI); context.fill(); }],
    [posteriors.forced, (x, y) => { context.arc(x, y, radius, 0, 2 * Math.PI); context.stroke(); }],
    [posteriors.known, (x, y) => { context.rect(x - radius - 1, y - radius - 1, 2 * radius + 2, 2 * radius + 2); context.stroke(); }],
  ];
  for (const [path, mark] of marks) {
    path?.values.forEach((row, frame) => {
      if (row < 0) return;
      context.beginPath();
      mark(xOf((frame + 0.5) * shift.output, width), (row + 0.5) * tall);
    });
  }
  context.restore();
}

function tellPosteriors() {
  const column = frameAt(at, shift.output, posteriors.bytes.shape[1]);
  const ranked = posteriors.tokens.map((token, row) => [valueOf(posteriors, row, column), shown(token)]);
  ranked.sort((a, b) => b[0] - a[0]);
  const most = ranked.slice(0, 3).map(([share, token]) => `${token} ${percent(share, 0)} %`).join(", ");
  const tokenOf = (path) => (path.values[column] < 0 ? "another token" : shown(posteriors.tokens[path.values[column]]));
  const given = posteriors.known ? `, the given text ${tokenOf(posteriors.known)}` : "";
  byId("posteriors-value").textContent =
    `At the cursor, frame ${column}: ${most}. The text has ${tokenOf(posteriors.forced)} here${given}.`;
}
rows.push({ paint: () => { posteriorImage = painted(posteriors); }, draw: drawPosteriors, tell: tellPosteriors });

// --- gates and one cell --------------------------------------------------------------------------

const layer = () => data.layers[chosen.layer];
const kinds = () => Object.keys(layer().kinds);
let gateImage;

function paintGates() {
  const picture = layer().kinds[chosen.kind];
  gateImage = painted(picture, { signed: picture.low < 0 });
}

function drawGates() {
  const { context, width, height } = drawPicture(byId("gates"), gateImage, shift.output);
  const tall = height / gateImage.height;
  context.strokeStyle = colour("alarm");
  context.strokeRect(gutter, chosen.cell * tall - 1, width - gutter - 1, tall + 2);
  rowLabel(context, `row ${chosen.cell + 1}`, clamp((chosen.cell + 0.5) * tall, 8, height - 8));
}

const gateFrame = () => frameAt(at, shift.output, gateImage.width);

function tellGates() {
  const value = valueOf(layer().kinds[chosen.kind], chosen.cell, gateFrame());
  byId("gates-value").textContent =
    `At the cursor, frame ${gateFrame()}, row ${chosen.cell + 1}: ${LETTERS[chosen.kind]} = ${value.toFixed(2)}.`;
}
rows.push({ paint: paintGates, draw: drawGates, tell: tellGates });

/** Describe a cell: its half-life, if a gate says how much it keeps. */
function describeCell() {
  const cell = chosen.cell;
  const number = layer().cells.values[cell];
  const where = `Cell ${number} of layer ${layer().layer}, ${layer().direction}`;
  if (!KEEPING) {
    byId("cell-text").textContent = `${where}.`;
    return;
  }
  const mean = layer().mean_kept.values[cell];
  const half = layer().half_life_ms.values[cell];
  byId("cell-text").textContent =
    `${where}: mean ${KINDS[KEEPING][0].toLowerCase().slice(0, -2)} ${mean.toFixed(3)}, half-life ${half.toFixed(0)} ms = ln(1/2) / ln(${mean.toFixed(3)}) frames of ` +
    `${data.output_shift_ms} ms: so long until half of what it holds is gone.`;
}

/** Return a sample of a line, as an SVG for a legend. */
function sample(hue, dash) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  for (const [name, value] of Object.entries({ width: 36, height: 8, "aria-hidden": true })) svg.setAttribute(name, value);
  const strokes = { x1: 0, x2: 36, y1: 4, y2: 4, stroke: colour(hue), "stroke-width": 2, "stroke-dasharray": dash.join(" ") };
  for (const [name, value] of Object.entries(strokes)) line.setAttribute(name, value);
  svg.append(line);
  return svg;
}

const styleOf = (number) => [HUES[number % HUES.length], DASHES[number % DASHES.length]];

function fillLegend(id, names) {
  byId(id).replaceChildren(...names.map((name, number) => element("li", {}, sample(...styleOf(number)), name)));
}

/** Return the options of a uPlot under the time axis, or under its own axis below. */
function plotOptions(width, height, names, yAxis) {
  const ink = { stroke: colour("faint"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line") } };
  const lines = names.map((name, number) => {
    const [hue, dash] = styleOf(number);
    return { label: name, stroke: colour(hue), dash, width: 1.5, points: { show: false }, spanGaps: false };
  });
  return {
    width, height, padding: [8, 0, 8, 0], legend: { show: false }, cursor: { show: false },
    series: [{}, ...lines],
    scales: { x: { time: false, range: () => [view.from, view.to] } },
    axes: [{ show: false }, { ...ink, size: gutter, ...yAxis }],
  };
}

function replot(old, id, options, values) {
  old?.destroy();
  return new uPlot(options, values, byId(id));
}

/** Return a row of a picture as values from -1 to 1. */
function curveOf(picture, row) {
  const count = picture.bytes.shape[1];
  return Array.from({ length: count }, (_, column) => valueOf(picture, row, column));
}

const middles = (count, step) => Array.from({ length: count }, (_, frame) => (frame + 0.5) * step);

/** Return the largest of a cell's states, by which its curve is divided. */
const scaleOf = (curve) => Math.max(1, ...curve.map(Math.abs));

function drawCell() {
  const names = kinds();
  const all = names.map((name) => curveOf(layer().kinds[name], chosen.cell));
  const titles = names.map((name, i) => (scaleOf(all[i]) > 1 ? `${LETTERS[name]} / ${scaleOf(all[i]).toFixed(1)}` : LETTERS[name]));
  const scaled = all.map((curve) => curve.map((value) => value / scaleOf(curve)));
  const options = plotOptions(byId("cell-plot").clientWidth, 220, titles, {});
  options.scales.y = { range: () => [-1.05, 1.05] };
  curves = replot(curves, "cell-plot", options, [middles(scaled[0].length, shift.output), ...scaled]);
  fillLegend("cell-legend", titles);
}

function tellCell() {
  const frame = gateFrame();
  const values = kinds().map((name) => `${LETTERS[name]} ${valueOf(layer().kinds[name], chosen.cell, frame).toFixed(2)}`);
  byId("cell-value").textContent = `At the cursor: ${values.join(", ")}.`;
  listMoments(frame);
}

/** Return the frames, largest first, at which a cell is as active as at a frame. */
function momentsLike(frame) {
  const active = curveOf(layer().kinds.hidden_state, chosen.cell);
  const sign = Math.sign(active[frame]) || 1;
  const sized = active.map((value) => sign * value);
  const found = [];
  const ranked = sized.map((size, place) => [size, place]).sort((a, b) => b[0] - a[0]);
  for (const [size, place] of ranked) {
    if (size < 0.9 * sized[frame] || size <= 0 || found.length === 8) break;
    if (![frame, ...found].some((other) => Math.abs(other - place) * shift.output < 0.15)) found.push(place);
  }
  return found;
}

function listMoments(frame) {
  const found = momentsLike(frame);
  byId("moments").replaceChildren(...found.map((place) => {
    const seconds = (place + 0.5) * shift.output;
    const word = data.words[wordAt(seconds)]?.word ?? "between words";
    const button = element("button", { type: "button", onclick: () => moveTo(seconds) }, `${clock(seconds)} ${word}`);
    return element("li", {}, button);
  }));
  byId("no-moments").hidden = found.length > 0;
}
rows.push({ draw: drawCell, tell: tellCell });

function chooseCell(cell) {
  chosen.cell = clamp(Math.round(cell) || 0, 0, layer().cells.values.length - 1);
  byId("cell").value = chosen.cell + 1;
  describeCell();
  drawGates();
  tellGates();
  drawCell();
  tellCell();
}

function chooseLayer(number) {
  chosen.layer = number;
  if (!kinds().includes(chosen.kind)) chosen.kind = KEEPING ?? "hidden_state";
  byId("cell").max = layer().cells.values.length;
  byId("kind").replaceChildren(...kinds().map((name) => new Option(KINDS[name][0], name, false, name === chosen.kind)));
  chooseKind(chosen.kind);
}

function chooseKind(kind) {
  chosen.kind = kind;
  const { low, high } = layer().kinds[kind];
  const ink = low < 0 ? `Blue is positive, up to ${high.toFixed(1)}, and brown negative.` : "The stronger the ink, the nearer to 1.";
  byId("kind-text").textContent = `${KINDS[kind][1]}; ${kind} of ${STEP}. ${ink}`;
  byId("gates").setAttribute("aria-label", `${KINDS[kind][0]}: cells over time; up and down choose a cell`);
  paintGates();
  chooseCell(chosen.cell);
}

// --- reach ---------------------------------------------------------------------------------------

const reachName = ({ name, network }) => `${name} (${network})`;

/** Return the number of the computed frame that is nearest to the cursor. */
function nearestReach() {
  const { frames } = data.reaches[0];
  const gaps = [...frames.values].map((frame) => Math.abs((frame + 0.5) * shift.output - at));
  return gaps.indexOf(Math.min(...gaps));
}

/** Return the gradients of a model for one of its frames, null where there are none. */
function gradientsOf({ norms }, number) {
  const length = norms.shape[1];
  return Array.from(norms.values.subarray(number * length, (number + 1) * length), (norm) => norm || null);
}

/** Return [lowest, highest] of a logarithmic axis: at most eight powers of ten below the highest. */
function logRange(curves) {
  const values = curves.flat().filter((value) => value > 0);
  const high = Math.max(...values, 1e-30);
  return [Math.max(Math.min(...values, high), high / 1e8), high * 1.5];
}

/** The marks of a logarithmic axis: powers of ten, or every other one if there are many. */
const POWERS = {
  filter: (_, splits) => splits, // uPlot's own makes some null
  splits: (_, __, low, high) => {
    const [first, last] = [Math.ceil(Math.log10(low)), Math.floor(Math.log10(high))];
    const step = last - first > 5 ? 2 : 1;
    return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, i) => 10 ** (first + i * step));
  },
  values: (_, splits) => splits.map((value) => `1e${Math.round(Math.log10(value))}`),
};

let reachShown = -1;

function drawReach() {
  const number = nearestReach();
  reachShown = number;
  const main = data.reaches[0];
  const time = middles(main.norms.shape[1], shift.input);
  const curves = data.reaches.map((reach) => {
    const own = gradientsOf(reach, number);
    const step = reach.input_shift_ms / 1000;
    return time.map((seconds) => own[frameAt(seconds, step, own.length)]);
  });
  const options = plotOptions(byId("reach-plot").clientWidth, 220, data.reaches.map(reachName), POWERS);
  options.scales.y = { distr: 3, range: () => logRange(curves) };
  reachPlot = replot(reachPlot, "reach-plot", options, [time, ...curves]);
  const said = data.reaches.map(({ tokens, name }) => `${shown(tokens[number])}${data.reaches.length > 1 ? ` (${name})` : ""}`);
  const seconds = (main.frames.values[number] + 0.5) * shift.output;
  const word = data.words[wordAt(seconds)]?.word;
  byId("reach-chosen").textContent =
    `Nearest frame to the cursor: ${clock(seconds)}${word ? `, in ${word}` : ""}. Its most probable token: ${said.join(", ")}.`;
}
rows.push({ draw: drawReach, tell: () => { if (nearestReach() !== reachShown) drawReach(); } });

function drawDistances() {
  const grid = [...new Set(data.reaches.flatMap(({ distances_ms }) => [...distances_ms.values]))].sort((a, b) => a - b);
  const columns = data.reaches.map(({ distances_ms, shares }) => {
    const known = new Map(Array.from(distances_ms.values, (distance, i) => [distance, shares.values[i]]));
    return grid.map((distance) => (known.get(distance) > 1e-9 ? known.get(distance) : null));
  });
  const names = data.reaches.map(reachName);
  const options = plotOptions(byId("distance-plot").clientWidth, 260, names, POWERS);
  const ink = options.axes[1];
  options.scales = {
    x: { time: false },
    y: { distr: 3, range: () => [Math.min(FALLEN / 10, logRange(columns)[0]), 1.5] },
  };
  options.axes[0] = { ...ink, size: 44, label: "ms before (negative) and after the frame", splits: undefined, values: undefined };
  options.series.push({ stroke: colour("ink"), width: 1, dash: [1, 4], points: { show: false } });
  options.series.forEach((line, number) => { if (number) line.spanGaps = true; });
  distancePlot = replot(distancePlot, "distance-plot", options, [grid, ...columns, grid.map(() => FALLEN)]);
}

const fallsAt = (distance) => (distance === null ? "not within this recording" : `${distance.toFixed(0)} ms`);

function fillReachTable() {
  byId("reach-table").tBodies[0].replaceChildren(...data.reaches.map((reach) => element("tr", {},
    element("td", {}, reach.name),
    element("td", {}, reach.network),
    element("td", { className: "number" }, fallsAt(reach.before_ms)),
    element("td", { className: "number" }, fallsAt(reach.after_ms)))));
  byId("reach-count").textContent = data.reaches[0].frames.values.length;
}

// --- cursor, view, sound -------------------------------------------------------------------------

function showCursor() {
  const share = (at - view.from) / (view.to - view.from);
  document.documentElement.style.setProperty("--at", share);
  document.documentElement.style.setProperty("--seen", share < 0 || share > 1 ? "hidden" : "visible");
  const word = data.words[wordAt(at)];
  byId("time").textContent = `${clock(at)}${word ? ` ${word.word}` : ""}`;
  for (const row of rows) row.tell?.();
}

/** Move the cursor to seconds of the piece; the view follows. */
function moveTo(seconds) {
  at = clamp(seconds, 0, duration);
  if (at < view.from || at > view.to) look(at - (view.to - view.from) / 2, view.to - view.from);
  if (Math.abs(sound.currentTime - at) > 0.05) sound.currentTime = at;
  showCursor();
  markWord();
}

/** Show `length` seconds from `from` on. */
function look(from, length) {
  const width = clamp(length, SHORTEST, duration);
  view.from = clamp(from, 0, duration - width);
  view.to = view.from + width;
  redraw();
}

function zoom(factor) {
  const share = clamp((at - view.from) / (view.to - view.from), 0, 1);
  const length = clamp((view.to - view.from) * factor, SHORTEST, duration);
  look(at - share * length, length);
}

let waiting = false;

function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    for (const row of rows) row.draw?.();
    showCursor();
  });
}

/** Paint everything anew: at the start, for another size, and for light or dark. */
function repaint() {
  gutter = 3.5 * parseFloat(getComputedStyle(document.documentElement).fontSize);
  for (const row of rows) row.paint?.();
  fillLegend("reach-legend", data.reaches.map(reachName));
  drawDistances();
  redraw();
}

/** Return the samples as a WAV file. */
function wav() {
  const { values } = data.samples;
  const header = new DataView(new ArrayBuffer(44));
  const write = (place, text) => [...text].forEach((letter, i) => header.setUint8(place + i, letter.charCodeAt(0)));
  write(0, "RIFF");
  header.setUint32(4, 36 + 2 * values.length, true);
  write(8, "WAVEfmt ");
  header.setUint32(16, 16, true);
  header.setUint16(20, 1, true);
  header.setUint16(22, 1, true);
  header.setUint32(24, data.rate_hz, true);
  header.setUint32(28, 2 * data.rate_hz, true);
  header.setUint16(32, 2, true);
  header.setUint16(34, 16, true);
  write(36, "data");
  header.setUint32(40, 2 * values.length, true);
  return new Blob([header, values], { type: "audio/wav" });
}

const sound = new Audio(URL.createObjectURL(wav()));

function follow() {
  moveTo(sound.currentTime);
  if (!sound.paused) requestAnimationFrame(follow);
}
sound.addEventListener("play", () => { byId("play").textContent = "Pause"; follow(); });
sound.addEventListener("pause", () => { byId("play").textContent = "Play"; });

function playOrPause() {
  if (!sound.paused) return sound.pause();
  if (at >= duration - 0.01) moveTo(0);
  return sound.play();
}

// --- what people do ------------------------------------------------------------------------------

function markWord() {
  const number = wordAt(at);
  const word = data.words[number];
  [...byId("words").querySelectorAll("button")].forEach((button, i) => button.setAttribute("aria-pressed", String(i === number)));
  if (!word) {
    byId("word").textContent = "No word at the cursor.";
    return;
  }
  const others = word.alternatives.map(([other, share]) => `${other || "no word"} ${(100 * share).toFixed(1)} %`);
  byId("word").textContent =
    `${word.word}: ${clock(word.start)} to ${clock(word.end)}, right with probability ${percent(word.confidence, 0)} %. ` +
    `Alternatives: ${others.join(", ") || "none in the list of hypotheses"}.`;
}

function listWords() {
  byId("words").append(...data.words.map((word) => {
    const doubtful = word.confidence < 0.5;
    const name = element("span", { className: doubtful ? "doubt" : "" }, word.word);
    const go = () => moveTo((word.frame + 0.5) * shift.output);
    const button = element("button", { type: "button", onclick: go }, name, ` ${percent(word.confidence, 0)} %`);
    button.setAttribute("aria-pressed", "false");
    return element("li", {}, button);
  }));
  byId("nothing").hidden = data.words.length > 0;
}

/** Let a plot move the cursor when it is clicked, and pan when it is dragged. */
function listenTo(plot) {
  let start = null;
  const secondsAt = (event) => {
    const { left, width } = plot.getBoundingClientRect();
    return view.from + ((event.clientX - left - gutter) / (width - gutter)) * (view.to - view.from);
  };
  plot.addEventListener("pointerdown", (event) => {
    start = { x: event.clientX, from: view.from, moved: false };
    plot.setPointerCapture(event.pointerId);
  });
  plot.addEventListener("pointermove", (event) => {
    if (!start) return;
    const { width } = plot.getBoundingClientRect();
    const moved = ((event.clientX - start.x) / (width - gutter)) * (view.to - view.from);
    start.moved ||= Math.abs(event.clientX - start.x) > 4;
    if (start.moved) look(start.from - moved, view.to - view.from);
  });
  plot.addEventListener("pointerup", (event) => {
    if (start && !start.moved) {
      moveTo(secondsAt(event));
      if (plot.contains(byId("gates"))) { // the target of the event is the plot, which has captured it
        const { top, height } = plot.getBoundingClientRect();
        chooseCell(Math.floor(((event.clientY - top) / height) * layer().cells.values.length));
      }
    }
    start = null;
  });
  plot.addEventListener("pointercancel", () => { start = null; });
}

const step = (event) => shift.output * (event.shiftKey ? 10 : 1);
const KEYS = {
  ArrowLeft: (event) => moveTo(at - step(event)),
  ArrowRight: (event) => moveTo(at + step(event)),
  "+": () => zoom(0.5),
  "=": () => zoom(0.5),
  "-": () => zoom(2),
  0: () => look(0, duration),
  " ": playOrPause,
};

function onKey(event) {
  const { tagName } = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey || ["INPUT", "SELECT"].includes(tagName)) return;
  if (event.target.id === "gates" && ["ArrowUp", "ArrowDown"].includes(event.key)) {
    chooseCell(chosen.cell + (event.key === "ArrowDown" ? 1 : -1));
  } else if (KEYS[event.key] && !(event.key === " " && tagName === "BUTTON")) {
    KEYS[event.key](event);
  } else return;
  event.preventDefault();
}

/** Say how probable the text that was given is, beside the recognised one. */
function describeKnown() {
  if (!data.known) return;
  const { text, behind } = data.known;
  const times = `e^${Math.abs(behind).toFixed(1)} times`;
  const judged = behind > 0
    ? `${times} less probable than that of the recognised text: the network itself hears something else`
    : `${times} more probable than that of the recognised text: the language model, or the search, has decided against it`;
  byId("known").hidden = byId("known-mark").hidden = false;
  byId("known").textContent = `Given: ${text}. ` +
    (text === data.text ? "This is what was recognised." : `By the sound alone, its best path is ${judged}.`);
  byId("spoken").style.height = "92px";
}

function describe() {
  byId("title").textContent = `${data.audio}: what the network does`;
  byId("about").textContent =
    `${duration.toFixed(2)} s, heard by ${data.model} (${data.network}; a frame of output is ${data.output_shift_ms} ms): ${data.text || "(no words)"}`;
  byId("rate").textContent = data.rate_hz;
  byId("unit").textContent = data.unit === "phones" ? "phones" : "tokens";
  describeKnown();
  if (!data.bundle) return;
  const { text, same_frames: same, mean, largest } = data.bundle;
  const total = posteriors.bytes.shape[1];
  byId("bundle").hidden = false;
  byId("bundle").textContent =
    `This page shows the network with the weights it was trained with. asr-transcribe runs the bundle model.onnx, which may round them to 8 bits ` +
    `and average over several readings of a recording: its most probable token is the same in ${same} of ${total} frames, its probabilities ` +
    `differ by ${mean.toFixed(4)} on average and by ${largest.toFixed(2)} at most, and its text is ${text === data.text ? "the same" : `“${text}”`}.`;
}

function begin() {
  describe();
  listWords();
  fillReachTable();
  byId("layer").append(...data.layers.map((each, number) => new Option(`layer ${each.layer}, ${each.direction}`, number)));
  byId("layer").addEventListener("change", (event) => chooseLayer(Number(event.target.value)));
  byId("kind").addEventListener("change", (event) => chooseKind(event.target.value));
  byId("cell").addEventListener("change", (event) => chooseCell(Number(event.target.value) - 1));
  byId("no-gates").hidden = Boolean(KEEPING);
  byId("gates-order").textContent = KEEPING
    ? `A row is a cell. Cells that keep most (highest mean ${LETTERS[KEEPING]}) are at the top.`
    : "A row is a cell, in the order of the weights.";
  for (const plot of document.querySelectorAll(".plot")) listenTo(plot);
  byId("play").addEventListener("click", playOrPause);
  byId("closer").addEventListener("click", () => zoom(0.5));
  byId("wider").addEventListener("click", () => zoom(2));
  byId("whole").addEventListener("click", () => look(0, duration));
  document.addEventListener("keydown", onKey);
  window.addEventListener("resize", repaint);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  const first = data.words[Math.floor(data.words.length / 2)];
  at = first ? (first.frame + 0.5) * shift.output : duration / 2;
  chooseLayer(0);
  repaint();
  markWord();
}

begin();
