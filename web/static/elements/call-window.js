// One call's window. The first picture is drawn from the message alone; the server's details replace it when they come.

import "./call-clock.js";
import "./call-controls.js";
import "./call-edit.js";
import "./call-note.js";
import "./call-who.js";
import "./call-wrap-up.js";
import { ask } from "../ask.js";
import { windowParts } from "../call-parts.js";
import { callerName, endWords, handOverWords, lineDot, lineName, stateWords, TALK, whoLines } from "../call-words.js";
import { el, icon, parsed } from "../dom.js";
import { live } from "../live.js";
import { t } from "../messages.js";
import { TaskLine } from "../task-line.js";

const OPEN = new Set(["ringing", "lift", "dialling", "talking", "held"]);
const CLOSES_AFTER = { elsewhere: 3000, caller_left: 10_000, ended: 15_000 };
const STAYS_WITH_COMMENT = 60_000;
const TO_IDENTIFY = new Set(["unknown", "ambiguous", "hidden"]);
const TYPED_IN = ".call-new-task input:not([type=hidden]), .call-details .call-task input:not([type=hidden]), call-controls input, call-controls textarea";
const DETAILS_WITHOUT_MATCH = 1000; // the match should be here by then; if not, region and type are

class CallWindow extends HTMLElement {
  static observedAttributes = ["shrunk", "as-line"];
  #call = null;
  #parts = null;
  #timer = 0;
  #detailsOf = null;
  #isTouched = false;
  #task = null; // the line of a new one
  #listeners = null;
  #whoOf = null; // the call whose panel «Кто звонит?» was asked for, or left

  connectedCallback() {
    this.addEventListener("caller-said", () => this.#wantWho(this.#call));
    this.addEventListener("caller-left-out", ({ detail }) => this.#leaveOut(detail));
    this.addEventListener("wrap-up-begun", () => this.#wrapsUp());
    this.addEventListener("wrap-up-over", () => this.#timeIsUp());
    this.addEventListener("wrap-up-done", () => this.#dismiss());
    this.addEventListener("click", ({ target }) => target.closest("[data-key=task]") && this.#task.noteAsked());
    this.addEventListener("click", ({ target }) => this.#edit(target.closest("[data-edit]")));
    this.addEventListener("call-edited", ({ detail }) => this.#edited(detail));
    this.addEventListener("pointerdown", () => (this.#isTouched = true));
    this.addEventListener("focusin", () => (this.#isTouched = true));
    this.#listeners = new AbortController();
    document.addEventListener("htmx:after:swap", () => this.#task?.nameIt(), this.#listeners);
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
    this.#listeners.abort();
    this.#detailsOf = null;
  }

  attributeChangedCallback() {
    this.#parts?.shrink.setAttribute("aria-expanded", String(!this.isLine));
  }

  get call() {
    return this.#call;
  }

  get isOpenCall() {
    return OPEN.has(this.#call.state);
  }

  get note() {
    return this.#parts.note;
  }

  // Shrunk by its user, or for want of room.
  get isLine() {
    return this.matches("[shrunk], [as-line]");
  }

  get body() {
    return this.#parts.body;
  }

  // Somebody is at it, or typed what is not stored yet: it stays open.
  get isInUse() {
    const isTyped = [...this.querySelectorAll(TYPED_IN)].some((field) => field.value !== field.defaultValue);
    return isTyped || this.#isTypedElsewhere || this.body.contains(document.activeElement);
  }

  get #isTypedElsewhere() {
    return Boolean(this.note?.isBusy || this.#parts.edit.isTyped || this.querySelector("call-who")?.isTyped);
  }

  // As high as it would be if nothing else were there.
  get wantedHeight() {
    const { section } = this.#parts;
    return Math.min(section.scrollHeight + section.offsetHeight - section.clientHeight, parseFloat(getComputedStyle(section).maxHeight));
  }

  show(call) {
    const before = this.#call;
    this.#call = call;
    if (!this.#parts) this.#build();
    this.dataset.state = call.state;
    this.dataset.direction = call.direction;
    this.#showHead(call);
    this.#showHandOver(call);
    this.#showWho(call, before);
    this.#showNote(call);
    this.#showEnd(call);
    this.#parts.controls.show(call);
    if (!before || before.state !== call.state) this.#stateChanged(call);
    if (call.note) this.#parts.note?.take(call.note);
    this.#wantDetails(call);
    this.#wantWho(call);
    this.#editAgain();
  }

  // Shrinking never discards: the window becomes a line, the text stays.
  shrink(isShrunk) {
    this.toggleAttribute("shrunk", isShrunk);
    this.#tellSize();
  }

  turn() {
    if (this.isLine) this.open();
    else this.shrink(true);
  }

  // Whole again, also where there was room for a line only.
  open() {
    if (this.hasAttribute("shrunk")) this.shrink(false);
    if (this.hasAttribute("as-line")) this.dispatchEvent(new CustomEvent("call-wanted", { bubbles: true }));
  }

  // Much larger or smaller than before: the others make room, or take it back.
  #tellSize() {
    this.dispatchEvent(new CustomEvent("call-resized", { bubbles: true }));
  }

  focusInside() {
    this.open();
    if (this.note) this.note.focusField();
    else this.#parts.section.focus();
  }

  openCard() {
    this.querySelector("a[data-card]")?.click();
  }

  // The button of an action, where the window has it now.
  buttonOf(action) {
    const found = [...this.querySelectorAll(`[data-key="${action}"]:not([disabled])`)].filter((one) => !one.closest("[hidden]"));
    return found.find((one) => one.checkVisibility()) ?? found[0] ?? null; // in a line none is seen
  }

  // The nth of what can be chosen here: a found client, a candidate, an outcome of the call. Choosing marks.
  choose(nth) {
    if (this.querySelector("call-who")?.choose(nth)) return;
    const choices = this.querySelectorAll(".pop-candidates a, [data-choice]");
    choices[nth]?.focus();
    if (choices[nth]?.matches("[data-choice]")) choices[nth].click();
  }

  // The line of a new task, also while the details that hold it are on their way.
  askForTask() {
    this.#task.noteAsked();
    const open = this.querySelector(".call-task input[name=title]");
    (open ?? this.buttonOf("task"))?.[open ? "focus" : "click"]();
  }

  // «Кто звонит?», also for a call that has a client already.
  async identify() {
    if (!this.querySelector("call-who")) await this.#fetchWho();
    this.querySelector("call-who")?.search?.focus();
  }

  // The talk is over and stored, or there is one more minute.
  wrapUp(dueAt) {
    const { wrapUp } = this.#parts;
    if (wrapUp.isOpen) wrapUp.until(dueAt);
    else if (!this.isOpenCall) wrapUp.load(this.#call.id);
  }

  // «Готово»: what was typed is stored; a window that is over closes.
  finish() {
    if (this.#parts.edit.contains(document.activeElement)) return this.#parts.edit.submit();
    const done = this.buttonOf("done");
    if (done) return done.click();
    this.note?.flush();
    if (!this.isOpenCall) this.#dismiss();
  }

  #build() {
    this.#parts = windowParts({ onTurn: () => this.turn(), onClose: () => this.#dismiss() });
    this.#parts.head.addEventListener("click", ({ target }) => target.closest("button") || this.open());
    this.#task = new TaskLine(this.#parts);
    this.append(this.#parts.section);
  }

  #showHead(call) {
    const { state, line, clock, close } = this.#parts;
    const [iconName, word] = stateWords(call);
    state.replaceChildren(icon(iconName), el("span", { class: "call-state-word" }, word));
    const parts = lineName(call) ? [el("span", { class: "call-line-name" }, lineName(call))] : [];
    if (call.line_colour) parts.unshift(lineDot(call.line_colour));
    if (call.queue) parts.push(el("span", { class: "call-queue" }, t("queue “{name}”", { name: call.queue })));
    line.replaceChildren(...parts);
    line.hidden = parts.length === 0;
    clock.setAttribute("since", clockStart(call) ?? "");
    clock.hidden = !this.isOpenCall || !clockStart(call);
    close.hidden = this.isOpenCall;
  }

  // Whom the caller talked to before, and whether this user was asked.
  #showHandOver(call) {
    const { passed } = this.#parts;
    passed.hidden = !call.handed_over;
    passed.textContent = call.handed_over ? handOverWords(call.handed_over) : "";
  }

  // Until the server's details are there: who, as far as the message knows.
  #showWho(call, before) {
    const { section, who } = this.#parts;
    section.setAttribute("aria-label", `${stateWords(call)[1]}: ${callerName(call)}`);
    this.setAttribute("caller", callerName(call));
    this.#parts.caller.textContent = callerName(call);
    if (before && before.phone === call.phone && sameMatch(before, call) && before.colleague === call.colleague) return;
    who.replaceChildren(...whoLines(call));
    who.hidden = false;
    this.#task.setAside();
    this.#parts.details.replaceChildren();
    this.#detailsOf = null;
  }

  #showNote(call) {
    const { body } = this.#parts;
    this.#parts.note?.setAttribute("call", call.id);
    const hasTalked = call.state === "ended" && call.answered_at !== null;
    if (this.#parts.note || !(TALK.has(call.state) || hasTalked)) return;
    this.#parts.note = el("call-note", { call: call.id });
    body.insertBefore(this.#parts.note, this.#parts.wrapUp);
    if (!call.note) this.#parts.note.load();
  }

  #showEnd(call) {
    const { end, again } = this.#parts;
    const words = this.isOpenCall ? "" : endWords(call);
    end.hidden = words === "" || words === stateWords(call)[1]; // not twice what the head says
    end.textContent = words;
    if (isUnanswered(call) && again.childElementCount === 0) again.append(...this.#againButtons(call));
    again.hidden = !isUnanswered(call);
  }

  #againButtons(call) {
    const later = el("button", { type: "button", class: "btn btn-sm btn-outline-secondary" }, icon("clock"), t("Call back tomorrow"));
    later.addEventListener("click", () => {
      this.askForTask();
      this.#task.titled(t("Call back: {name}", { name: callerName(this.#call) }));
    });
    const repeat = el("a", { class: "btn btn-sm btn-success", href: `tel:${call.phone}`, "hx-boost": "false" }, icon("phone"), t("Repeat"));
    return call.direction === "outbound" ? [repeat, later] : [later]; // who called us is called from the details
  }

  #stateChanged(call) {
    clearTimeout(this.#timer);
    const passedOn = call.handed_over ? handOverWords(call.handed_over) : "";
    this.#parts.news.textContent = this.isOpenCall
      ? [`${stateWords(call)[1]}: ${callerName(call)}`, lineName(call), passedOn].filter(Boolean).join(", ")
      : endWords(call);
    if (this.isOpenCall) return this.#parts.wrapUp.putAway();
    if (call.state === "ended" && call.answered_at && call.direction !== "internal") this.#parts.wrapUp.load(call.id);
    const isOver = call.state === "stopped" || (call.state === "ended" && !call.answered_at && !call.reason);
    this.#timer = setTimeout(() => this.#closeByItself(), isOver ? 0 : this.#remaining(call));
  }

  // From the call's end, not from when this page heard of it: a reload changes nothing.
  #remaining(call) {
    const shown = call.note?.text ? STAYS_WITH_COMMENT : (CLOSES_AFTER[call.state] ?? 0);
    const ended = call.ended_at ? Date.parse(call.ended_at) : live.now();
    const wrapUp = call.wrap_up_until ? Date.parse(call.wrap_up_until) - live.now() : 0;
    return Math.max(0, wrapUp, Math.min(shown, ended + shown - live.now()));
  }

  #closeByItself() {
    const isTyped = this.#isTypedElsewhere || this.#parts.edit.isOpen;
    const isInUse = isTyped || (this.#isTouched && this.#call.state !== "elsewhere");
    if (!isInUse || this.#call.state === "stopped") this.#gone();
    else if (isTyped) this.#timer = setTimeout(() => this.#closeByItself(), 5000);
  }

  // Nobody is hurried out of a window that waits for its outcome.
  #wrapsUp() {
    clearTimeout(this.#timer);
    this.#tellSize();
  }

  // It becomes a line, unless somebody is at it; the talk waits in «Не обработаны», what was typed is stored.
  #timeIsUp() {
    this.note?.flush();
    if (!this.contains(document.activeElement)) this.shrink(true);
    this.#timer = setTimeout(() => this.#closeByItself(), STAYS_WITH_COMMENT);
  }

  #dismiss() {
    this.dispatchEvent(new CustomEvent("call-dismissed", { bubbles: true, detail: this.#call.id }));
    this.#gone();
  }

  #gone() {
    this.dispatchEvent(new CustomEvent("call-gone", { bubbles: true, detail: this.#call.id }));
  }

  #wantDetails(call) {
    const wanted = JSON.stringify([call.id, call.phone, call.match]);
    if (!this.#hasDetails || this.#detailsOf === wanted) return;
    this.#detailsOf = wanted;
    if (call.match) this.#fetchDetails(wanted);
    else setTimeout(() => this.#hasDetails && this.#detailsOf === wanted && this.#fetchDetails(wanted), DETAILS_WITHOUT_MATCH);
  }

  // Of a call that a colleague took there is nothing more to tell; who was not reached is called back from there.
  get #hasDetails() {
    return this.isOpenCall || this.#call.answered_at !== null || isUnanswered(this.#call);
  }

  // Answered, and nobody knows who it is. What is typed there stays, whatever comes.
  #wantWho(call) {
    const isAsked = this.#parts.note && call.direction !== "internal" && TO_IDENTIFY.has(call.match?.outcome);
    const shown = this.querySelector("call-who");
    if (isAsked && this.#whoOf !== call.id) this.#fetchWho();
    else if (!isAsked && shown && (shown.hasAttribute("data-done") || !(shown.isTyped || shown.contains(document.activeElement)))) this.#dropWho();
  }

  #dropWho() {
    const hadFocus = this.#parts.asked.contains(document.activeElement);
    this.#parts.asked.replaceChildren();
    this.#tellSize();
    if (hadFocus) this.note?.focusField();
  }

  async #fetchWho() {
    const id = (this.#whoOf = this.#call.id);
    const answer = await ask(`/calls/${id}/who`);
    if (answer === null) this.#whoOf = null; // no answer: the next news of the call asks again
    if (!answer?.ok || !this.isConnected) return;
    this.#parts.asked.replaceChildren(parsed(answer.text));
    globalThis.htmx?.process(this.#parts.asked);
    this.#tellSize();
  }

  // The card's form, in place.
  #edit(press) {
    if (press) this.#parts.edit.open(press.dataset.edit, true);
  }

  // What was typed during this talk and is not saved comes back by itself, after a reload as on another computer.
  #editAgain() {
    const drafted = this.note && this.#parts.details.querySelector("[data-edit][data-drafted]");
    if (drafted) this.#parts.edit.open(drafted.dataset.edit, false);
  }

  #edited({ isSaved, hadFocus }) {
    if (hadFocus || this.#parts.section === document.activeElement) this.note?.focusField();
    if (!isSaved) return this.#tellSize();
    this.#detailsOf = null;
    this.#wantDetails(this.#call);
  }

  #leaveOut(why) {
    this.#dropWho();
    this.note?.add(why);
  }

  async #fetchDetails(wanted) {
    const answer = await ask(`/calls/${this.#call.id}/pop`);
    if (!answer?.ok || this.#detailsOf !== wanted || !this.isConnected) return;
    const { details, who } = this.#parts;
    this.#task.setAside();
    details.replaceChildren(parsed(answer.text));
    who.hidden = true;
    globalThis.htmx?.process(details);
    this.#task.bringBack();
    this.#editAgain();
  }
}

const clockStart = (call) => (TALK.has(call.state) ? call.answered_at : call.ringing_since);
// Nobody spoke: who called us left, or whom we called did not answer.
const isUnanswered = (call) => Boolean(call.phone) && (call.state === "caller_left" || (call.state === "ended" && call.direction === "outbound" && !call.answered_at));
const sameMatch = (one, other) => JSON.stringify(one.match) === JSON.stringify(other.match);

customElements.define("call-window", CallWindow);
