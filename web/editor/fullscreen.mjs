/**
 * The editor over the whole page: its element moves into a modal dialog and back.
 *
 */
import { el } from "./dom.mjs";

/** @param {() => HTMLElement} element */
export function createFullscreen(element) {
  /** @type {{dialog: HTMLDialogElement, home: HTMLElement} | null} */
  let open = null;

  function enter() {
    const home = element().parentElement;
    if (!home) return;
    const dialog = el("dialog", { class: "tora2-dialog" });
    dialog.addEventListener("close", leave);
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    document.body.append(dialog);
    open = { dialog, home };
    dialog.append(element());
    dialog.showModal();
    element().querySelector("canvas")?.focus();
  }

  function leave() {
    if (!open) return;
    const { dialog, home } = open;
    open = null;
    home.append(element());
    dialog.remove();
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
