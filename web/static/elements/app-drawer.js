// The module bar on narrow screens: a drawer that opens over the page.

class AppDrawer extends HTMLElement {
  #listeners = null;

  connectedCallback() {
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    document.addEventListener("click", (event) => this.#onClick(event), { signal });
    document.addEventListener("keydown", (event) => this.#onKey(event), { signal });
    document.addEventListener("htmx:after:swap", () => this.#set(false), { signal });
  }

  disconnectedCallback() {
    this.#listeners.abort();
  }

  get #toggle() {
    return document.querySelector("[data-drawer-toggle]");
  }

  #onClick({ target }) {
    if (target.closest("[data-drawer-toggle]")) this.#set(!this.hasAttribute("open"));
    else if (this.hasAttribute("open") && !target.closest(".module-bar")) this.#set(false);
  }

  #onKey(event) {
    if (event.key !== "Escape" || !this.hasAttribute("open")) return;
    this.#set(false);
    this.#toggle.focus();
  }

  #set(isOpen) {
    const wasOpen = this.hasAttribute("open");
    this.toggleAttribute("open", isOpen);
    this.#toggle.setAttribute("aria-expanded", String(isOpen));
    if (isOpen && !wasOpen) this.querySelector("a").focus();
  }
}

customElements.define("app-drawer", AppDrawer);
