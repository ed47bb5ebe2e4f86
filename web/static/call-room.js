// How the windows of calls share the screen: three open at most, older ones as a line each until all fits, and never over the
// save button of an open form.

import { coversSaveButton } from "./dom.js";

const MOST_OPEN = 3;
const PLACES = [[], ["at-left"], ["at-top"], ["at-left", "at-top"]]; // where the stack may stand; the first that is free

// `ranked`: the windows, the one that must be seen first.
export function giveRoom(stack, ranked) {
  ranked.forEach((shown, rank) => {
    shown.toggleAttribute("behind", rank > 0 && !shown.contains(document.activeElement));
    shown.toggleAttribute("as-line", rank >= MOST_OPEN && !shown.isInUse);
  });
  makeLines(stack, ranked);
  place(stack, ranked);
}

// The last ones become lines until the others fit; never the first, nor one in which somebody types.
function makeLines(stack, ranked) {
  const { maxHeight, rowGap } = getComputedStyle(stack);
  const gap = parseFloat(rowGap);
  const heights = new Map(ranked.map((shown) => [shown, shown.wantedHeight + gap]));
  let missing = [...heights.values()].reduce((sum, height) => sum + height, -gap) - parseFloat(maxHeight);
  for (const shown of ranked.slice(1).reverse()) {
    if (missing <= 0) return;
    if (shown.isInUse || shown.hasAttribute("as-line")) continue;
    shown.toggleAttribute("as-line", true);
    missing -= heights.get(shown) - gap - shown.wantedHeight;
  }
}

// Where no place is free for the windows, one is found for the lines.
function place(stack, ranked) {
  if (ranked.length === 0 || isPlaced(stack)) return;
  for (const shown of ranked.slice(1)) shown.toggleAttribute("as-line", !shown.isInUse);
  if (!isPlaced(stack)) stand(stack, []);
}

function isPlaced(stack) {
  return PLACES.some((sides) => {
    stand(stack, sides);
    return !coversSaveButton(stack.getBoundingClientRect());
  });
}

function stand(stack, sides) {
  for (const side of ["at-left", "at-top"]) stack.toggleAttribute(side, sides.includes(side));
}
