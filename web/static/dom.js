// Elements from values. Text is always set as text: what comes over the socket is data, never markup.

export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const SPRITE = new URL("./vendor/tabler-icons/icons.svg", import.meta.url).pathname;

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${SPRITE}#${name}`);
  svg.append(use);
  return svg;
}

export function button(name, label, onClick, css = "call-button") {
  const made = el("button", { type: "button", class: css, "aria-label": label, title: label }, icon(name));
  made.addEventListener("click", onClick);
  return made;
}

// Our own server's markup, made by our own templates.
export function parsed(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

// Whether a box lies over the save button of an open form; forms in which nothing is typed do not count.
export function coversSaveButton(box) {
  return [...document.querySelectorAll("#main form[method=post] [type=submit]")].some((button) => {
    if (!button.form?.querySelector("input:not([type=hidden]), select, textarea")) return false;
    const its = button.getBoundingClientRect();
    return its.width > 0 && its.right > box.left && its.left < box.right && its.bottom > box.top && its.top < box.bottom;
  });
}
