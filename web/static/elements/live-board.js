// The live board: each part names the topics it shows (data-follow) and is asked for again when the socket tells of a
// change, at most twice a second, or once in data-pause milliseconds.

import { live } from "../live.js";

const PAUSE = 500;

class LiveBoard extends HTMLElement {
  #listeners = null;
  #due = new Map(); // part → the timer that will ask for it
  #topics = new Set();

  connectedCallback() {
    this.#listeners = new AbortController();
    live.addEventListener("message", ({ detail }) => detail.topic && this.#hear(detail.topic), this.#listeners);
    this.#topics = new Set(this.#parts().flatMap(topicsOf));
    for (const topic of this.#topics) live.follow(topic);
  }

  disconnectedCallback() {
    this.#listeners.abort();
    for (const timer of this.#due.values()) clearTimeout(timer);
    this.#due.clear();
    for (const topic of this.#topics) live.unfollow(topic);
  }

  #parts() {
    return [...this.querySelectorAll("[data-follow]")];
  }

  #hear(topic) {
    for (const part of this.#parts()) if (topicsOf(part).includes(topic)) this.#soon(part);
  }

  #soon(part) {
    if (this.#due.has(part)) return;
    const ask = () => {
      this.#due.delete(part);
      part.dispatchEvent(new CustomEvent("board-changed"));
    };
    this.#due.set(part, setTimeout(ask, Number(part.dataset.pause ?? PAUSE)));
  }
}

function topicsOf(part) {
  return part.dataset.follow.split(" ");
}

customElements.define("live-board", LiveBoard);
