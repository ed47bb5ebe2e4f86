// The bell: one for each user, in the page that was used last. A hidden page tells of the call by a notification, too.
// <call-bell> holds the button that shows while this browser may make no sound; a press of it (or of any [data-sound-test]) tests it.

import { ring } from "../ring.js";
import { live } from "../live.js";
import { t } from "../messages.js";

const TOLD_EVERY = 1000;

class CallBell extends HTMLElement {
  #listeners = null;
  #ringing = new Map(); // id → the call
  #talks = new Set();
  #notification = null;
  #usedAt = 0;
  #toldAt = 0;

  connectedCallback() {
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    live.addEventListener("message", ({ detail }) => this.#hear(detail), { signal });
    live.addEventListener("status", () => this.#settle(), { signal });
    ring.addEventListener("change", () => this.#tell(), { signal });
    for (const type of ["pointerdown", "keydown"]) {
      document.addEventListener(type, () => this.#used(), { signal, capture: true, passive: true });
    }
    document.addEventListener("visibilitychange", () => this.#seen(), { signal });
    document.addEventListener("click", (event) => event.target.closest?.("[data-sound-test]") && this.#test(), { signal });
    this.#usedAt = document.hidden ? 0 : Date.now();
    ring.wake();
    this.#tell();
  }

  disconnectedCallback() {
    this.#listeners.abort();
    ring.stop();
  }

  #used() {
    ring.wake();
    this.#usedAt = Date.now();
    const isKnown = live.bellIsHere || !ring.isHeard; // nothing would change but the moment
    if (!isKnown || this.#usedAt - this.#toldAt > TOLD_EVERY) this.#tell();
  }

  #seen() {
    if (!document.hidden) this.#used();
    this.#settle();
  }

  #tell() {
    this.#toldAt = Date.now();
    live.tellBell({ sound: ring.isHeard, chosen: ring.isChosen, used: this.#usedAt });
    this.#settle();
  }

  // A click: the browser lets us sound from now on. The moment is calm enough to ask for notifications, too.
  async #test() {
    await ring.test();
    if (globalThis.Notification?.permission === "default" && this.#ringing.size === 0) await Notification.requestPermission();
    this.#tell();
  }

  #hear({ type, topic, data }) {
    if (topic) return;
    if (type === "hello") {
      this.#ringing.clear();
      this.#talks.clear();
      data.calls.forEach((call) => this.#take(call));
    } else if (type.startsWith("call.") && data.state) {
      if (data.was) this.#forget(data.was);
      this.#take(data);
    } else if (type !== "bell") return;
    this.#settle();
  }

  #take(call) {
    this.#forget(call.id);
    if (call.state === "ringing") this.#ringing.set(call.id, call);
    if (call.state === "talking") this.#talks.add(call.id);
  }

  #forget(id) {
    this.#ringing.delete(id);
    this.#talks.delete(id);
  }

  #settle() {
    const rings = this.#ringing.size > 0 && live.bellIsHere && live.status === "open";
    if (rings && !this.hasAttribute("ringing")) ring.start(this.#talks.size > 0);
    if (!rings) ring.stop();
    this.toggleAttribute("ringing", rings);
    this.#notify(rings && document.hidden);
    const isSilent = !ring.isHeard && !ring.isSwitchedOff && (live.presence?.extensions.length ?? 0) > 0;
    this.querySelector("button").hidden = !isSilent;
  }

  #notify(isWanted) {
    const call = [...this.#ringing.values()].at(-1);
    const tag = isWanted ? `call-${call.id}` : null;
    if (this.#notification?.tag === tag || (!tag && !this.#notification)) return;
    this.#notification?.close();
    this.#notification = null;
    if (!tag || globalThis.Notification?.permission !== "granted") return;
    try {
      this.#notification = new Notification(t("Incoming call"), { tag, silent: true, body: words(call), icon: document.querySelector("link[rel=icon]")?.href });
      this.#notification.onclick = () => (focus(), this.#notification?.close());
    } catch {
      // Telephones show notifications of service workers only: there the title has to do.
    }
  }
}

function words(call) {
  const [party] = call.match?.outcome === "matched" ? call.match.parties : [];
  return [party?.name, call.phone_text || call.colleague || t("Number withheld"), call.line].filter(Boolean).join(" · ");
}

customElements.define("call-bell", CallBell);
