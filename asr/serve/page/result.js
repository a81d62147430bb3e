// One transcript on the page: its words, its player, its downloads.

import { retimed, write } from "./formats.js";

const UNSURE = 0.6; // words with less confidence are marked
const template = document.getElementById("result");

export class Result {
  constructor(name, onStop) {
    this.name = name;
    this.words = [];
    this.duration = 0;
    this.element = template.content.firstElementChild.cloneNode(true);
    const find = (selector) => this.element.querySelector(selector);
    this.state = find(".state");
    this.bar = find("progress");
    this.text = find(".text");
    this.audio = find("audio");
    this.actions = find(".actions");
    this.stopButton = find(".stop");
    find(".name").textContent = name;
    this.text.setAttribute("aria-label", `Transcript of ${name}`);
    this.audio.setAttribute("aria-label", `Recording ${name}`);
    this.stopButton.setAttribute("aria-label", `Stop ${name}`);
    this.stopButton.onclick = onStop;
    this.audio.ontimeupdate = () => this.follow();
    for (const button of this.actions.querySelectorAll("[data-format]")) {
      button.setAttribute("aria-label", `Download ${name} as ${button.dataset.format}`);
      button.onclick = () => this.download(button.dataset.format);
    }
    const edit = find(".edit");
    edit.setAttribute("aria-label", `Edit the text of ${name}`);
    edit.onclick = () => this.edit(edit);
    const remove = find(".remove");
    remove.setAttribute("aria-label", `Remove ${name}`);
    remove.onclick = () => this.remove();
    this.text.onclick = ({ target }) => this.play(target);
    this.text.onkeydown = (event) => {
      if (!this.isEdited) this.press(event);
    };
    document.getElementById("results-title").after(this.element); // the newest comes first
  }

  get isEdited() {
    return this.text.isContentEditable;
  }

  say(state) {
    if (this.state.textContent !== state) this.state.textContent = state;
  }

  progress(done, total) {
    if (total) Object.assign(this.bar, { max: total, value: Math.min(done, total) });
  }

  // Text without times yet, as it is recognised.
  append(text) {
    this.text.append(text);
  }

  show(words, partial = []) {
    this.words = words;
    this.text.replaceChildren();
    for (const word of [...words, ...partial]) {
      const span = document.createElement("span");
      const percent = Math.round(100 * word.confidence);
      span.className = "word";
      span.textContent = word.word;
      span.title = `${word.start.toFixed(2)} to ${word.end.toFixed(2)} s, ${percent} % sure`;
      span.dataset.start = word.start;
      span.dataset.end = word.end;
      span.classList.toggle("unsure", word.confidence < UNSURE);
      span.classList.toggle("partial", partial.includes(word));
      this.text.append(span, " ");
    }
  }

  finish(state, file) {
    this.say(state);
    this.bar.hidden = this.stopButton.hidden = true;
    this.actions.hidden = false;
    if (!file) return;
    this.audio.src = URL.createObjectURL(file);
    this.audio.hidden = false;
    this.makeWordsButtons();
  }

  makeWordsButtons() {
    if (this.audio.hidden) return;
    // A word is heard when it is clicked; by the keyboard, when it has the focus and Enter is pressed.
    // One word is in the order of tabs; arrows go to the others.
    for (const span of this.text.querySelectorAll(".word")) {
      span.tabIndex = span.previousElementSibling ? -1 : 0;
      span.setAttribute("role", "button");
    }
  }

  press(event) {
    const { key, target } = event;
    const to = { ArrowRight: target.nextElementSibling, ArrowLeft: target.previousElementSibling }[key];
    if (key === "Enter" || key === " ") this.play(target);
    else if (!to) return;
    else {
      [target.tabIndex, to.tabIndex] = [-1, 0];
      to.focus();
    }
    event.preventDefault(); // nothing scrolls
  }

  fail(message) {
    this.finish(message);
    this.element.classList.add("failed");
    for (const button of this.actions.querySelectorAll("button:not(.remove)")) button.hidden = true;
  }

  play(span) {
    if (this.isEdited || this.audio.hidden || !span.dataset?.start) return;
    this.until = Number(span.dataset.end) + 0.05;
    this.audio.currentTime = Math.max(0, Number(span.dataset.start) - 0.05);
    this.audio.play();
  }

  follow() {
    const at = this.audio.currentTime;
    for (const span of this.text.querySelectorAll(".word")) {
      const isNow = at >= span.dataset.start && at < span.dataset.end;
      span.classList.toggle("playing", isNow && !this.audio.paused);
    }
    if (this.until && at >= this.until) {
      this.until = undefined;
      this.audio.pause();
    }
  }

  edit(button) {
    const begins = !this.isEdited;
    button.setAttribute("aria-pressed", String(begins));
    if (begins) {
      this.text.textContent = this.words.map((word) => word.word).join(" ");
      this.text.contentEditable = "plaintext-only";
      this.text.setAttribute("role", "textbox");
      this.text.focus();
      return;
    }
    this.text.contentEditable = "inherit";
    this.text.setAttribute("role", "group");
    this.show(retimed(this.text.innerText, this.words));
    this.makeWordsButtons();
  }

  download(format) {
    if (this.isEdited) this.element.querySelector(".edit").click();
    const text = this.words.map((word) => word.word).join(" ");
    const content = write(format, { text, words: this.words, duration: this.duration });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], { type: "text/plain" }));
    link.download = `${this.name.replace(/\.[^.]*$/, "")}.${format}`;
    link.click();
    URL.revokeObjectURL(link.href);
  }

  remove() {
    if (this.audio.src) URL.revokeObjectURL(this.audio.src);
    this.element.remove();
  }
}
