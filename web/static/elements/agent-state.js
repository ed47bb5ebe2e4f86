// One's own state in the bottom bar, with its time: the same in all tabs, switched from any page, by mouse or keyboard.

import { ask } from "../ask.js";
import { parsed } from "../dom.js";
import { actionOf } from "../keys.js";
import { live } from "../live.js";
import { t } from "../messages.js";

// Reasons that came with the program; others stand as they were entered.
const REASONS = () => new Map([
  ["Lunch", t("Lunch")], ["Break", t("Break")], ["Meeting", t("Meeting")], ["Training", t("Training")],
  ["dnd", t("do not disturb")], ["At the telephone", t("At the telephone")],
  ["no_link", t("no link to the PBX")], ["unreachable", t("the telephone does not answer")], ["off_shift", t("off the shift")],
]);
const WORDS = () => ({ available: t("Available"), ringing: t("Ringing"), talking: t("Talking"), wrap_up: t("Wraps up"), paused: t("On a pause"), offline: t("Offline") });

class AgentState extends HTMLElement {
  #listeners = null;
  #shown = "";

  connectedCallback() {
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    live.addEventListener("message", ({ detail }) => this.#hear(detail), { signal });
    live.addEventListener("status", () => this.#show(), { signal });
    this.#button.addEventListener("click", () => this.#toggle(), { signal });
    this.#panel.addEventListener("click", ({ target }) => this.#choose(target.closest("[data-wish]")), { signal });
    this.addEventListener("keydown", (event) => this.#onKey(event), { signal });
    document.addEventListener("keydown", (event) => this.#onShortcut(event), { signal });
    document.addEventListener("pointerdown", ({ target }) => this.contains(target) || this.#close(false), { signal });
    this.#show();
  }

  disconnectedCallback() {
    this.#listeners.abort();
  }

  get #button() {
    return this.querySelector(".agent-toggle");
  }

  get #panel() {
    return this.querySelector(".agent-panel");
  }

  get #choices() {
    return [...this.#panel.querySelectorAll("button, a")];
  }

  #hear({ type, topic }) {
    if (topic) return;
    if (type === "hello" || type === "agent.state") this.#show();
    // Somebody else, another tab or the PBX: what is offered may be another thing now.
    if ((type === "agent.state" || type === "agent.wish") && !this.#panel.hidden && !this.#panel.hasAttribute("aria-busy")) this.#load();
  }

  // Without the socket nobody knows what one is: the words stay, pale.
  #show() {
    const agent = live.status === "open" ? live.presence?.agent : null;
    this.toggleAttribute("is-old", !agent);
    if (!agent) return;
    const [state, words] = judged(agent);
    if (this.#shown === JSON.stringify(agent)) return;
    this.#shown = JSON.stringify(agent);
    this.dataset.state = state;
    this.querySelector(".agent-word").textContent = words;
    this.#button.title = words;
    const clock = this.querySelector("call-clock");
    clock.setAttribute("since", agent.state ? (agent.since ?? "") : "");
    clock.hidden = !clock.getAttribute("since");
  }

  async #toggle() {
    if (!this.#panel.hidden) return this.#close(true);
    this.#panel.hidden = false;
    this.#button.setAttribute("aria-expanded", "true");
    await this.#load();
    (this.#panel.querySelector("[data-first]") ?? this.#choices[0])?.focus({ preventScroll: true });
  }

  #close(takesFocus) {
    if (this.#panel.hidden) return;
    this.#panel.hidden = true;
    this.#button.setAttribute("aria-expanded", "false");
    if (takesFocus) this.#button.focus({ preventScroll: true });
  }

  async #load() {
    const had = this.#panel.contains(document.activeElement) ? document.activeElement.dataset : null;
    const answer = await ask("/shift/menu");
    if (!answer?.ok) return this.#tell(answer);
    this.#panel.replaceChildren(parsed(answer.text));
    globalThis.htmx?.process(this.#panel);
    if (!had) return;
    const same = this.#choices.find(({ dataset }) => dataset.wish === had.wish && dataset.reason === had.reason);
    (same ?? this.#choices[0])?.focus({ preventScroll: true });
  }

  // One press is one wish; the new state comes over the socket, to all tabs alike.
  async #choose(choice) {
    if (!choice || this.#panel.hasAttribute("aria-busy")) return;
    this.#panel.setAttribute("aria-busy", "true");
    const body = new URLSearchParams({ state: choice.dataset.wish, reason: choice.dataset.reason ?? "" });
    const answer = await ask("/shift/now", { method: "POST", body });
    this.#panel.removeAttribute("aria-busy");
    if (answer?.ok) this.#close(true);
    else this.#tell(answer);
  }

  #tell(answer) {
    const words =
      answer?.status === 503
        ? t("The database does not answer: your state cannot be changed now. Pause at your telephone.")
        : (answer?.json()?.problem ?? t("The server does not answer. Check the network."));
    const place = this.#panel.querySelector("[data-outcome]");
    if (place) place.textContent = words;
    else document.dispatchEvent(new CustomEvent("ringcard:notice", { detail: words }));
  }

  #onKey(event) {
    if (this.#panel.hidden) return;
    if (event.code === "Escape") {
      event.stopPropagation();
      this.#close(true);
    } else if (event.code === "ArrowDown" || event.code === "ArrowUp") {
      event.preventDefault();
      const all = this.#choices;
      const step = event.code === "ArrowDown" ? 1 : -1;
      all[(all.indexOf(document.activeElement) + step + all.length) % all.length]?.focus();
    }
  }

  #onShortcut(event) {
    if (event.defaultPrevented || actionOf(event, false) !== "state") return;
    event.preventDefault();
    this.#toggle();
  }
}

function judged({ state, reason, wish }) {
  if (!state) return wish && wish !== "offline" ? [wish, WORDS()[wish]] : ["none", t("My shift")];
  const why = reason ? (REASONS().get(reason) ?? reason) : "";
  if (state === "paused" && why) return [state, why];
  return [state, state === "offline" && why ? why : WORDS()[state]];
}

customElements.define("agent-state", AgentState);
