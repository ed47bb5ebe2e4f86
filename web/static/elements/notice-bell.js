// The bell: how many notifications are not seen, and the one tab of all that shows a new one.

import { ask } from "../ask.js";
import { live } from "../live.js";

class NoticeBell extends HTMLElement {
  #listeners = null;

  connectedCallback() {
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    live.addEventListener("message", ({ detail }) => this.#hear(detail), { signal });
    this.#count();
  }

  disconnectedCallback() {
    this.#listeners.abort();
  }

  #hear({ type, data }) {
    if (type === "hello") this.#count();
    if (type !== "notification") return;
    this.#count();
    // The tab one looks at asks first; the others hear that it was shown.
    if (data.id) setTimeout(() => this.#show(data.id), document.hidden ? 1500 : 0);
  }

  async #count() {
    const told = said(await ask("/notifications/unseen"));
    if (!told) return;
    const badge = this.querySelector(".bell-count");
    badge.hidden = told.unseen === 0;
    badge.textContent = told.unseen > 99 ? "99+" : String(told.unseen);
  }

  async #show(id) {
    const told = said(await ask(`/notifications/${id}/shown`, { method: "POST" }));
    if (told) document.dispatchEvent(new CustomEvent("ringcard:notice", { detail: told.text }));
  }
}

// Nothing, when the server is away: the next hello asks again.
const said = (answer) => (answer?.status === 200 ? answer.json() : null);

customElements.define("notice-bell", NoticeBell);
