/**
 * One editor a page. Two copies of the pack, or one folder that is linked twice, have two addresses,
 * so the browser runs both; the first keeps the widget.
 */

/**
 * @param {string} name of what may be registered once
 * @param {string} address of the module that asks
 * @returns {boolean} whether it is the first to ask; another is told of on the console
 */
export function isFirst(name, address) {
  const page = /** @type {Record<symbol, string | undefined>} */ (globalThis);
  const key = Symbol.for(name);
  const first = (page[key] ??= address);
  if (first === address) return true;
  console.warn(
    `Tora2 is installed twice: the editor of ${first} is used, that of ${address} is left out. ` +
      "Remove one of the two from custom_nodes.",
  );
  return false;
}
