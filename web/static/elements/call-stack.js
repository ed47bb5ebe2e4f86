// All call windows, outside #main: they stay through visits inside the page. Newest last; three open, the rest as lines.

import { actionOf, isTextField } from "../keys.js";
import { live } from "../live.js";
import { t } from "../messages.js";

const isHelp = (event) => (event.code === "F1" && !event.ctrlKey && !event.altKey) || (event.key === "?" && !isTextField(event.target));

class CallStack extends HTMLElement {
  #windows = new Map();
  #listeners = null;
  #before = null; // where the focus was before F2
  #wanted = null; // a line that its user asked to see
  #sizes = new ResizeObserver(() => this.#arrangeSoon());
  #frame = 0;
  #room = null; // comes with the windows' own code

  connectedCallback() {
    this.setAttribute("aria-label", t("Calls"));
    this.setAttribute("role", "group");
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    this.#loadWindows(signal);
    this.addEventListener("call-gone", ({ detail }) => this.#remove(detail), { signal });
    this.addEventListener("call-resized", () => this.#arrange(), { signal });
    this.addEventListener("call-wanted", ({ target }) => this.#want(target), { signal });
    this.addEventListener("focusout", () => this.#arrangeSoon(), { signal });
    this.addEventListener("call-dismissed", ({ detail }) => live.send({ type: "dismiss", id: detail }), { signal });
    document.addEventListener("keydown", (event) => this.#onKey(event), { signal });
    document.addEventListener("visibilitychange", () => this.#showTitle(), { signal });
    document.addEventListener("htmx:after:swap", () => this.#arrangeSoon(), { signal });
    addEventListener("resize", () => this.#arrangeSoon(), { signal });
    addEventListener("scroll", () => this.#arrangeSoon(), { signal, passive: true });
  }

  disconnectedCallback() {
    this.#listeners.abort();
    this.#sizes.disconnect();
    cancelAnimationFrame(this.#frame);
  }

  // The windows' own code comes after the page: then the picture is asked for once more, and nothing is missed.
  async #loadWindows(signal) {
    [this.#room] = await Promise.all([import("../call-room.js"), import("./call-window.js")]);
    if (signal.aborted) return;
    live.addEventListener("message", ({ detail }) => this.#hear(detail), { signal });
    live.askAgain();
  }

  #hear({ type, topic, at, data }) {
    if (topic) return;
    if (type === "hello") this.#take(data.calls);
    else if (type === "call.dismissed") this.#remove(data.id);
    else if (type === "note.saved") this.#windows.get(data.id)?.note?.take(data.note);
    else if (type === "wrap_up.started") this.#windows.get(data.call_id)?.wrapUp(data.due_at);
    else if (type === "wrap_up.ended") this.#wrappedUp(data.call_id);
    else if (type.startsWith("call.")) this.#upsert(data, at);
    else return;
    this.#arrange();
  }

  // The whole picture: what is not in it is over.
  #take(calls) {
    const present = new Set(calls.map(({ id }) => id));
    for (const [id, shown] of this.#windows) {
      if (!present.has(id) && shown.isOpenCall) this.#remove(id);
    }
    for (const call of calls) this.#upsert(call, null);
  }

  #upsert(call, at) {
    if (call.was) this.#rename(call.was, call.id);
    let shown = this.#windows.get(call.id);
    if (!shown && call.state === "stopped") return;
    const isNew = !shown;
    if (isNew) {
      shown = document.createElement("call-window");
      this.#windows.set(call.id, shown);
      shown.show(call);
      this.append(shown);
      this.#wanted = null;
      this.#sizes.observe(shown.body);
    } else {
      shown.show(call);
    }
    if (isNew && at && call.state === "ringing") this.#measure(call.id, at);
  }

  // In another tab, or on its page.
  #wrappedUp(id) {
    if (this.#windows.get(id)?.isOpenCall === false) this.#remove(id);
  }

  #rename(was, id) {
    const shown = this.#windows.get(was);
    if (!shown || this.#windows.has(id)) return;
    this.#windows.delete(was);
    this.#windows.set(id, shown);
  }

  // How long after the event the window was on the screen: the administrator sees it.
  #measure(id, at) {
    if (document.hidden) return;
    requestAnimationFrame(() =>
      setTimeout(() => live.send({ type: "drawn", id, ms: Math.max(0, live.now() - Date.parse(at)) })),
    );
  }

  #remove(id) {
    const gone = this.#windows.get(id);
    if (!gone) return;
    const hadFocus = gone.contains(document.activeElement);
    this.#windows.delete(id);
    this.#sizes.unobserve(gone.body);
    gone.remove();
    if (hadFocus) this.#giveFocusBack();
    this.#arrange();
  }

  #want(line) {
    this.#wanted = line;
    this.#arrange();
  }

  // Once a frame is enough for what scrolls, grows, or loses the focus.
  #arrangeSoon() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#arrange());
  }

  // Which are open: three at most, and no more than the screen has room for; the rest is a line each.
  #arrange() {
    const ranked = this.#ranked();
    this.toggleAttribute("has-calls", ranked.length > 0);
    this.#showTitle();
    this.#room?.giveRoom(this, ranked);
  }

  // Calls that go on come before those that are over, newer before older.
  #ranked() {
    const all = [...this.#windows.values()];
    const ranked = [...all.filter((one) => !one.isOpenCall), ...all.filter((one) => one.isOpenCall)].reverse();
    if (!ranked.includes(this.#wanted)) return ranked;
    return [this.#wanted, ...ranked.filter((one) => one !== this.#wanted)];
  }

  // A hidden tab shows the caller in its title.
  #showTitle() {
    const ringing = [...this.#windows.values()].filter((shown) => shown.call.state === "ringing").at(-1);
    const plain = document.title.replace(/^☎ .*? — /u, "");
    const wanted = ringing && document.hidden ? `☎ ${ringing.getAttribute("caller")} — ${plain}` : plain;
    if (document.title !== wanted) document.title = wanted;
  }

  // The window that keys mean: the one with the focus, else the newest.
  get #current() {
    return document.activeElement?.closest("call-window") ?? this.#newest;
  }

  // Of the calls that go on the newest, else the newest of all.
  get #newest() {
    const all = [...this.#windows.values()];
    return all.filter((shown) => shown.isOpenCall).at(-1) ?? all.at(-1);
  }

  #onKey(event) {
    if (event.defaultPrevented) return;
    const action = this.#actionOf(event);
    if (!action) return;
    event.preventDefault();
    action();
  }

  #actionOf(event) {
    if (isHelp(event)) return () => import("./key-help.js").then(({ showKeys }) => showKeys());
    if (this.#windows.size === 0) return null;
    const isInside = this.contains(event.target);
    if (event.code === "Escape") return isInside ? () => this.#shrinkFocused() : null;
    if (isInside && event.ctrlKey && event.code === "Enter") return () => this.#finish();
    if (isInside && !event.altKey && !event.ctrlKey && !isTextField(event.target)) {
      const nth = /^Digit([1-9])$/.exec(event.code)?.[1];
      if (nth) return () => this.#current.choose(nth - 1);
    }
    return this.#meaning(actionOf(event, isInside));
  }

  // Actions of other parts (hold, task …) are the buttons that a window has at the moment: [data-key="hold"].
  #meaning(name) {
    const current = this.#current;
    const own = {
      focus: () => this.#turnFocus(),
      shrink: () => this.#turnSize(current),
      card: () => current.openCard(),
      comment: () => this.#comment(),
      identify: () => this.#identify(),
      task: () => (this.#remember(), current.open(), current.askForTask()),
    }[name];
    if (own || !name) return own ?? null;
    const press = current.buttonOf(name);
    return press ? () => (this.#remember(), current.open(), press.click()) : null;
  }

  #turnSize(current) {
    const hadFocus = current.contains(document.activeElement);
    current.turn();
    if (hadFocus && current.isLine) this.#giveFocusBack();
  }

  #turnFocus() {
    if (this.contains(document.activeElement)) {
      this.#giveFocusBack();
      return;
    }
    this.#remember();
    this.#newest.focusInside();
  }

  #remember() {
    if (!this.contains(document.activeElement)) this.#before = document.activeElement;
  }

  async #identify() {
    const talking = this.#current.note ? this.#current : [...this.#windows.values()].filter((shown) => shown.note).at(-1);
    if (!talking) return;
    this.#remember();
    talking.open();
    await talking.identify();
  }

  #finish() {
    this.#current.finish();
    if (this.contains(document.activeElement)) this.#giveFocusBack(); // a window that closed did so already
  }

  #comment() {
    const talking = [...this.#windows.values()].filter((shown) => shown.note).at(-1);
    if (!talking) return;
    this.#remember();
    talking.open();
    talking.note.focusField();
  }

  #shrinkFocused() {
    document.activeElement.closest("call-window")?.shrink(true);
    this.#giveFocusBack();
  }

  #giveFocusBack() {
    const target = this.#before?.isConnected ? this.#before : document.querySelector("#main");
    target.focus({ preventScroll: true });
    this.#before = null;
  }
}

customElements.define("call-stack", CallStack);
