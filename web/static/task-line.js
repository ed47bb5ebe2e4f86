// The line of a new task in a call window. It stays through news of who calls, with what was typed and what is under way.

export class TaskLine {
  #details;
  #place; // where it stands while details come and go
  #isAsked = false;
  #title = ""; // what it shall say when it comes

  constructor({ details, task }) {
    this.#details = details;
    this.#place = task;
  }

  noteAsked() {
    this.#isAsked = true;
  }

  titled(title) {
    this.#title = title;
    this.nameIt();
  }

  nameIt() {
    const field = this.#title ? this.#details.parentElement.querySelector(".call-task input[name=title]") : null;
    if (!field) return;
    field.value ||= this.#title;
    this.#title = "";
    field.focus();
  }

  setAside() {
    const line = this.#details.querySelector(".call-task");
    if (!line) return;
    const typing = line.contains(document.activeElement) ? document.activeElement : null;
    this.#place.append(line);
    typing?.focus({ preventScroll: true });
  }

  // It is about whom the window shows now; and it comes, if it was asked for while there was nowhere to put it.
  bringBack() {
    const press = this.#isAsked ? this.#details.querySelector("[data-key=task]") : null;
    if (!press) return;
    const fields = this.#place.querySelectorAll("input[name=party]");
    if (this.#place.childElementCount === 0) return press.click();
    const about = new URL(press.getAttribute("hx-get"), location.href).searchParams.get("party") ?? "";
    for (const field of fields) field.value = about;
    press.closest("p").remove();
  }
}
