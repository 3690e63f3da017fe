/**
 * The editor over the whole page: its element moves onto a sheet above the page and back. The sheet
 * is no modal dialog, because the host suspends its undo while one is open.
 */
import { el } from "../view/dom.mjs";

/** @param {() => HTMLElement} element */
export function createFullscreen(element) {
  /** @type {{sheet: HTMLElement, home: HTMLElement, behind: HTMLElement[]} | null} */
  let open = null;

  function enter() {
    const home = element().parentElement;
    if (!home) return;
    const behind = [...document.body.children].filter((child) => child instanceof HTMLElement);
    for (const child of behind) child.inert = true;
    const sheet = el("div", { class: "tora2-page" }, element());
    document.body.append(sheet);
    open = { sheet, home, behind };
    element().querySelector("canvas")?.focus();
  }

  function leave() {
    if (!open) return;
    const { sheet, home, behind } = open;
    open = null;
    for (const child of behind) child.inert = false;
    home.append(element());
    sheet.remove();
    element().querySelector("canvas")?.focus({ preventScroll: true });
  }

  return {
    leave,
    toggle: () => (open ? leave() : enter()),
    /** Give the editor another place to return to. @param {HTMLElement} home */
    rehome(home) {
      if (open) open.home = home;
      else home.append(element());
    },
  };
}
