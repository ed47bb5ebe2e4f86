// Whether calls can reach this page: the link to the server, and the server's link to the PBX of one's telephone.

import { live } from "../live.js";
import { t } from "../messages.js";

class LineState extends HTMLElement {
  #listeners = null;

  connectedCallback() {
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    live.addEventListener("status", () => this.#show(), { signal });
    live.addEventListener("message", () => this.#show(), { signal });
    this.#show();
  }

  disconnectedCallback() {
    this.#listeners.abort();
  }

  #show() {
    const [state, text] = this.#judge();
    if (this.dataset.state === state) return;
    this.dataset.state = state;
    this.querySelector(".line-text").textContent = text;
  }

  #judge() {
    if (live.status !== "open" || !live.presence) return ["connecting", t("Connecting…")];
    const { extensions, connections } = live.presence;
    if (extensions.length === 0) return ["none", t("No telephone")];
    if (connections.some(({ state }) => state !== "up")) return ["down", t("No link to the PBX")];
    return ["up", t("On the line")];
  }
}

customElements.define("line-state", LineState);
