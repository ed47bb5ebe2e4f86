// Reminders that are due, the same in all tabs: the server keeps which they are, every tab shows them until one is answered.

import { parsed } from "../dom.js";
import { live } from "../live.js";

class TaskReminders extends HTMLElement {
  #listeners = null;
  #asked = 0;

  connectedCallback() {
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    live.addEventListener("message", ({ detail }) => this.#hear(detail), { signal });
    this.#ask();
  }

  disconnectedCallback() {
    this.#listeners.abort();
  }

  #hear({ type }) {
    if (type === "hello" || type === "task.reminder") this.#ask();
  }

  async #ask() {
    const asked = ++this.#asked;
    const answer = await fetch("/reminders", { redirect: "error" }).catch(() => null);
    const html = answer?.ok ? await answer.text() : null;
    // Nothing is taken from under somebody's hands: a window with the focus in it waits for the next news.
    if (html === null || asked !== this.#asked || !this.isConnected || this.contains(document.activeElement)) return;
    this.replaceChildren(parsed(html));
    globalThis.htmx?.process(this);
  }
}

customElements.define("task-reminders", TaskReminders);
