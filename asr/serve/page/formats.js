// Files to download: text, subtitles, JSON. A word is {word, start, end, confidence}.

const LINE = 42; // characters, as in asr/formats/subtitles.py
const LONGEST_S = 7;
const PAUSE_S = 1;

export function write(format, { text, words, duration }) {
  if (format === "txt") return `${text}\n`;
  if (format === "json") return `${JSON.stringify({ text, duration, words }, null, 1)}\n`;
  const point = format === "srt" ? "," : ".";
  const parts = cues(words).map((cue, number) => {
    const times = `${clock(cue.start, point)} --> ${clock(cue.end, point)}`;
    const lines = format === "vtt" ? escaped(cue.text) : cue.text;
    return `${format === "srt" ? `${number + 1}\n` : ""}${times}\n${lines}\n`;
  });
  return (format === "vtt" ? "WEBVTT\n\n" : "") + parts.join("\n");
}

// Words to subtitles of at most two lines, cut at pauses and where a line is full.
function cues(words) {
  const found = [];
  for (const word of words) {
    const cue = found.at(-1);
    const longer = cue && `${cue.text.replace("\n", " ")} ${word.word}`;
    const fits = cue && word.end - cue.start <= LONGEST_S && word.start - cue.end < PAUSE_S;
    const lines = fits && twoLines(longer);
    if (lines) Object.assign(cue, { end: word.end, text: lines });
    else found.push({ start: word.start, end: word.end, text: word.word });
  }
  return found;
}

function twoLines(text) {
  if (text.length <= LINE) return text;
  const middle = [...text.matchAll(/ /g)].map(({ index }) => index)
    .sort((a, b) => Math.abs(2 * a - text.length) - Math.abs(2 * b - text.length))[0];
  const lines = [text.slice(0, middle), text.slice(middle + 1)];
  return lines.every((line) => line.length <= LINE) ? lines.join("\n") : null;
}

function clock(seconds, point) {
  const ms = Math.round(1000 * seconds);
  const pad = (number, digits = 2) => String(number).padStart(digits, "0");
  const [h, m, s] = [Math.floor(ms / 3600000), Math.floor(ms / 60000) % 60, Math.floor(ms / 1000) % 60];
  return `${pad(h)}:${pad(m)}:${pad(s)}${point}${pad(ms % 1000, 3)}`;
}

function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

// The words of an edited text: a word that stayed keeps its time, and new words share what is left.
export function retimed(text, words) {
  const said = text.split(/\s+/).filter(Boolean);
  const kept = matches(said, words.map((word) => word.word));
  const found = [];
  for (let at = 0; at < said.length; ) {
    if (kept[at] !== undefined) {
      found.push({ ...words[kept[at]] });
      at++;
      continue;
    }
    let stop = at;
    while (stop < said.length && kept[stop] === undefined) stop++;
    const first = at ? kept[at - 1] + 1 : 0;
    const after = stop < said.length ? kept[stop] : words.length;
    const replaced = words.slice(first, after);
    const start = replaced[0]?.start ?? words[first - 1]?.end ?? 0;
    const end = Math.max(replaced.at(-1)?.end ?? words[after]?.start ?? start, start + 0.05);
    for (let number = at; number < stop; number++) {
      const [from, to] = [number - at, number - at + 1].map((n) => start + ((end - start) * n) / (stop - at));
      found.push({ word: said[number], start: from, end: to, confidence: 1 });
    }
    at = stop;
  }
  return found;
}

// For each word of a, the index of its like in b, along a longest common subsequence.
function matches(a, b) {
  let first = 0;
  while (first < a.length && first < b.length && a[first] === b[first]) first++;
  let last = 0;
  while (last < a.length - first && last < b.length - first && a.at(-1 - last) === b.at(-1 - last)) last++;
  const found = new Array(a.length);
  for (let i = 0; i < first; i++) found[i] = i;
  for (let i = 1; i <= last; i++) found[a.length - i] = b.length - i;
  const [x, y] = [a.slice(first, a.length - last), b.slice(first, b.length - last)];
  if (x.length * y.length > 4e6) return found; // much was changed: its times are shared out
  const table = Array.from({ length: x.length + 1 }, () => new Uint16Array(y.length + 1));
  for (let i = x.length - 1; i >= 0; i--)
    for (let j = y.length - 1; j >= 0; j--)
      table[i][j] = x[i] === y[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
  for (let i = 0, j = 0; i < x.length && j < y.length; ) {
    if (x[i] === y[j]) found[first + i++] = first + j++;
    else if (table[i + 1][j] >= table[i][j + 1]) i++;
    else j++;
  }
  return found;
}

// The words as the text writes them: it may have capitals and punctuation that single words lack.
export function asWritten(text, words) {
  const written = text.split(/\s+/).filter(Boolean);
  if (written.length !== words.length) return words;
  return words.map((word, number) => ({ ...word, word: written[number] }));
}
