// The theme as a setting: like the system, or always light or dark. Kept by the browser, as the button in the top bar does.

class ThemeChoice extends HTMLElement {
  #listeners = null;

  connectedCallback() {
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    this.addEventListener("change", () => this.#choose(), { signal });
    addEventListener("storage", () => this.#show(), { signal });
    addEventListener("theme-changed", () => this.#show(), { signal });
    this.#show();
  }

  disconnectedCallback() {
    this.#listeners.abort();
  }

  #choose() {
    const { value } = this.querySelector("select");
    try {
      if (value) localStorage.setItem("theme", value);
      else localStorage.removeItem("theme");
    } catch {
      // Storage is switched off: the choice lasts as long as this page.
    }
    const isDark = value ? value === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.bsTheme = isDark ? "dark" : "light";
    dispatchEvent(new Event("theme-changed"));
  }

  #show() {
    try {
      this.querySelector("select").value = localStorage.getItem("theme") ?? "";
    } catch {
      // Storage is switched off: what the page says stays.
    }
  }
}

customElements.define("theme-choice", ThemeChoice);
