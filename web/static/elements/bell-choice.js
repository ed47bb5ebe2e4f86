// Where calls ring, as this browser keeps it; the sound to try; and whether the system may tell of calls.

import { ring } from "../ring.js";
import { t } from "../messages.js";

class BellChoice extends HTMLElement {
  #listeners = null;

  connectedCallback() {
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    this.querySelector("select").addEventListener("change", ({ target }) => (ring.setting = target.value), { signal });
    ring.addEventListener("change", () => this.#show(), { signal });
    this.querySelector("[data-ask]").addEventListener("click", () => this.#ask(), { signal });
    this.#show();
  }

  disconnectedCallback() {
    this.#listeners.abort();
  }

  async #ask() {
    await globalThis.Notification?.requestPermission();
    this.#show();
  }

  #show() {
    this.querySelector("select").value = ring.setting;
    const permission = globalThis.Notification?.permission ?? "denied";
    this.querySelector("[data-ask]").hidden = permission !== "default";
    this.querySelector("[data-permission]").textContent = {
      granted: t("Calls are shown by the system while this page is hidden."),
      denied: t("The browser does not allow notifications here. Its settings of this site can allow them."),
      default: t("The system may show calls while this page is hidden."),
    }[permission];
  }
}

customElements.define("bell-choice", BellChoice);
