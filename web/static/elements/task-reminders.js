// Reminders that are due, the same in all tabs: the server keeps which they are, every tab shows them until one is answered.

import { ask } from "../ask.js";
import { coversSaveButton, parsed } from "../dom.js";
import { live } from "../live.js";

const PLACES = 3; // corners where the window can stand, in CSS: the first that covers no save button

class TaskReminders extends HTMLElement {
  #listeners = null;
  #asked = 0;
  #frame = 0;

  connectedCallback() {
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    live.addEventListener("message", ({ detail }) => this.#hear(detail), { signal });
    const moved = { signal, passive: true, capture: true };
    for (const type of ["scroll", "resize", "htmx:after:swap"]) globalThis.addEventListener(type, () => this.#placeSoon(), moved);
    this.#ask();
  }

  disconnectedCallback() {
    this.#listeners.abort();
    cancelAnimationFrame(this.#frame);
  }

  #hear({ type }) {
    if (type === "hello" || type === "task.reminder") this.#ask();
  }

  async #ask() {
    const asked = ++this.#asked;
    const answer = await ask("/reminders");
    const html = answer?.ok ? answer.text : null;
    // Nothing is taken from under somebody's hands: a window with the focus in it waits for the next news.
    if (html === null || asked !== this.#asked || !this.isConnected || this.contains(document.activeElement)) return;
    this.replaceChildren(parsed(html));
    globalThis.htmx?.process(this);
    this.#place();
  }

  #placeSoon() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#place());
  }

  // Where it stands it stays, unless the save button of an open form came under it; with no free corner it becomes a line.
  #place() {
    const covers = () => coversSaveButton(this.getBoundingClientRect());
    if (this.childElementCount === 0 || !(this.hasAttribute("as-line") || covers())) return;
    for (const isLine of [false, true]) {
      this.toggleAttribute("as-line", isLine);
      for (let place = 0; place < PLACES; place += 1) {
        this.dataset.place = place;
        if (!covers()) return;
      }
    }
  }
}

customElements.define("task-reminders", TaskReminders);
