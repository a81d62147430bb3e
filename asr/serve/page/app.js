// The page: a queue of files, a microphone, and what came of them.

import { asWritten } from "./formats.js";
import { Recorder } from "./recorder.js";
import { Result } from "./result.js";
import { token, transcribe } from "./server.js";

const find = (id) => document.getElementById(id);
const AT_ONCE = 2; // files that are sent at the same time; the others wait here
const waiting = [];
let running = 0;
let recorder = null;

function notice(text) {
  find("notice").textContent = text;
}

function hotwords() {
  return find("hotwords").value.split("\n").map((line) => line.trim()).filter(Boolean);
}

function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

// Files.

function enqueue(files) {
  notice("");
  for (const file of files) {
    const cancel = new AbortController();
    const result = new Result(file.name, () => cancel.abort());
    result.say("waits");
    waiting.push({ file, result, cancel });
  }
  next();
}

function next() {
  while (running < AT_ONCE && waiting.length && find("access").hidden) {
    running++;
    recognise(waiting.shift()).finally(() => {
      running--;
      next();
    });
  }
}

async function recognise(item) {
  const { file, result, cancel } = item;
  const began = performance.now();
  try {
    cancel.signal.throwIfAborted();
    result.say("is sent");
    let found = null;
    await transcribe(file, hotwords(), (event) => {
      if (event.type === "transcript.text.delta") result.append(event.delta);
      else if (event.type === "transcript.text.done") found = event;
      else if (event.type === "asr.progress") tell(result, event, began);
    }, cancel.signal);
    if (!found) throw new Error("the answer ended too early");
    result.duration = found.duration;
    result.show(asWritten(found.text, found.words));
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    result.finish(`${clock(found.duration)} long, done in ${seconds} s`, file);
  } catch (error) {
    if (error.status === 429) return again(item, error.retryAfter);
    if (error.status === 401) {
      result.say("waits for the token");
      waiting.push(item);
      return askForToken();
    }
    result.fail(error.name === "AbortError" ? "stopped" : error.message);
  }
}

function tell(result, { done, total }, began) {
  result.progress(done, total);
  if (!total || !done) return result.say("is recognised");
  const left = ((performance.now() - began) / 1000) * (total / done - 1);
  result.say(left < 1 ? "nearly done" : `${Math.ceil(left)} s left`);
}

// The server is busy: wait as long as it asks for.
function again(item, retryAfter) {
  const seconds = retryAfter || 5;
  item.result.say(`the server is busy; tried again in ${seconds} s`);
  setTimeout(() => {
    waiting.unshift(item);
    next();
  }, 1000 * seconds);
}

function askForToken(retry) {
  find("access").hidden = false;
  find("token").focus();
  find("access").onsubmit = (event) => {
    event.preventDefault();
    token.set(find("token").value);
    find("access").hidden = true;
    retry?.();
    next();
  };
}

// Microphone.

async function record() {
  notice("");
  const result = new Result(`recording ${new Date().toLocaleTimeString()}`, stop);
  const finished = []; // words of segments that have ended
  let current = []; // final words of the segment that goes on
  const show = (partial = []) => result.show([...finished, ...current], partial);
  recorder = new Recorder({
    level: (value) => (find("level").value = value),
    clock: (seconds) => (find("clock").value = clock(seconds)),
    event: (message) => {
      if (message.type === "words") current.push(...message.final);
      if (message.type === "end_of_speech") {
        finished.push(...asWritten(message.text, message.words));
        current = [];
      }
      if (message.type === "done") result.duration = message.duration;
      show(message.partial);
    },
    closed: (error) => {
      const file = recorder?.samples ? recorder.file() : null;
      recorder = null;
      pressed(false);
      if (!error || finished.length) show();
      if (error && !file) result.fail(error.message);
      else result.finish(error ? error.message : `${clock(result.duration)} long`, file);
      if (error?.code === "invalid_api_key") askForToken(record);
    },
  });
  result.say("listens");
  result.bar.hidden = true;
  pressed(true);
  try {
    await recorder.start(hotwords());
  } catch (error) {
    if (!recorder) return; // `closed` has told
    recorder.release();
    recorder = null;
    pressed(false);
    result.remove();
    const refused = error.name === "NotAllowedError";
    notice(refused ? "The microphone may not be used: allow it in the browser." : `The microphone cannot be used: ${error.message}`);
  }
}

function stop() {
  recorder?.stop();
}

function pressed(is) {
  find("record").setAttribute("aria-pressed", String(is));
  find("record-label").textContent = is ? "Stop" : "Record";
}

find("record").onclick = () => (recorder ? stop() : record());
find("files").onchange = ({ target }) => {
  enqueue(target.files);
  target.value = "";
};

const drop = find("drop");
for (const kind of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragover");
    if (kind === "drop") enqueue(event.dataTransfer.files);
  });
}
window.addEventListener("beforeunload", stop);
if (!navigator.mediaDevices) {
  find("record").disabled = true;
  notice("Recording needs https, or a server on this computer.");
}
