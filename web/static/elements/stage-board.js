// <stage-board>: cards go to another stage by dragging, or with Shift and an arrow on the card's name.
// Either way presses the button of the card's own menu, so the server decides and answers as if it had been chosen there.

// After the move the board is drawn anew; whoever moves by keyboard goes on from the same card.
function focusAfterSwap(lead) {
  const goOn = () => document.querySelector(`.stage-card[data-lead="${CSS.escape(lead)}"] a`)?.focus();
  document.addEventListener("htmx:after:swap", () => setTimeout(goOn), { once: true });
}

class StageBoard extends HTMLElement {
  #dragged = null;
  #listeners = new AbortController();

  connectedCallback() {
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    this.addEventListener("dragstart", (event) => this.#lift(event), { signal });
    this.addEventListener("dragover", (event) => this.#hover(event), { signal });
    this.addEventListener("drop", (event) => this.#drop(event), { signal });
    this.addEventListener("dragend", () => this.#letGo(), { signal });
    this.addEventListener("keydown", (event) => this.#step(event), { signal });
  }

  disconnectedCallback() {
    this.#listeners.abort();
    this.#dragged = null;
  }

  #lift(event) {
    this.#dragged = event.target.closest?.(".stage-card[draggable=true]");
    if (!this.#dragged) return;
    this.setAttribute("data-busy", "");
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", this.#dragged.dataset.lead);
    const stages = new Set(this.#buttons(this.#dragged).map((button) => button.value));
    for (const column of this.#columns()) {
      const isHere = column.contains(this.#dragged);
      column.classList.toggle("is-closed", !isHere && !stages.has(column.dataset.stage));
    }
  }

  #hover(event) {
    const column = event.target.closest(".stage-column");
    for (const each of this.#columns()) each.classList.toggle("is-target", each === column && this.#opensFor(column));
    if (column && this.#opensFor(column)) event.preventDefault();
  }

  #drop(event) {
    const column = event.target.closest(".stage-column");
    const card = this.#dragged;
    event.preventDefault();
    this.#letGo();
    if (card && column) this.#move(card, column.dataset.stage);
  }

  #letGo() {
    this.removeAttribute("data-busy");
    for (const column of this.#columns()) column.classList.remove("is-target", "is-closed");
    this.#dragged = null;
  }

  #step(event) {
    if (!event.shiftKey || !["ArrowLeft", "ArrowRight"].includes(event.code)) return;
    const card = event.target.closest(".stage-card");
    if (!card || event.target.matches("input, textarea, select")) return;
    event.preventDefault();
    const columns = this.#columns();
    const here = columns.findIndex((column) => column.contains(card));
    const next = columns[here + (event.code === "ArrowRight" ? 1 : -1)];
    if (next) this.#move(card, next.dataset.stage);
  }

  #move(card, stage) {
    const button = this.#buttons(card).find(({ value }) => value === stage);
    if (!button) return;
    focusAfterSwap(card.dataset.lead);
    button.form.requestSubmit(button);
  }

  #opensFor(column) {
    if (!this.#dragged || column.contains(this.#dragged)) return false;
    return this.#buttons(this.#dragged).some(({ value }) => value === column.dataset.stage);
  }

  #columns() {
    return [...this.querySelectorAll(".stage-column")];
  }

  #buttons(card) {
    return [...card.querySelectorAll("button[name=stage_id]")];
  }
}

customElements.define("stage-board", StageBoard);
