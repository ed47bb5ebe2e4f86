// Light or dark: remembered by the browser, the same in all its tabs.

class ThemeSwitch extends HTMLElement {
  #listeners = null;

  connectedCallback() {
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    this.addEventListener("click", () => this.#turn(), { signal });
    addEventListener("storage", () => this.#show(), { signal });
    addEventListener("theme-changed", () => this.#show(), { signal });
    this.#show();
  }

  disconnectedCallback() {
    this.#listeners.abort();
  }

  #turn() {
    const root = document.documentElement;
    root.dataset.bsTheme = root.dataset.bsTheme === "dark" ? "light" : "dark";
    try {
      localStorage.setItem("theme", root.dataset.bsTheme);
    } catch {
      // Storage is switched off: the choice lasts as long as this page.
    }
    dispatchEvent(new Event("theme-changed"));
  }

  #show() {
    const isDark = document.documentElement.dataset.bsTheme === "dark";
    this.querySelector("button").setAttribute("aria-pressed", String(isDark));
  }
}

customElements.define("theme-switch", ThemeSwitch);
