/** Writing what nobody has checked. */

/**
 * Any value of a workflow file as JSON, nested however deeply.
 * @param {unknown} value
 */
export function written(value) {
  let text = "";
  /** What is to be written: a text as it is, or a value in a box. @type {(string | [unknown])[]} */
  const rest = [[value]];
  while (rest.length) {
    const next = /** @type {string | [unknown]} */ (rest.pop());
    if (typeof next === "string") {
      text += next;
      continue;
    }
    const [item] = next;
    if (typeof item !== "object" || item === null) {
      text += JSON.stringify(item) ?? "null";
      continue;
    }
    const list = Array.isArray(item);
    /** @type {typeof rest} */
    const parts = [list ? "[" : "{"];
    Object.entries(item).forEach(([key, part], i) => {
      parts.push((i ? "," : "") + (list ? "" : `${JSON.stringify(key)}:`), [part]);
    });
    parts.push(list ? "]" : "}");
    for (const part of parts.reverse()) rest.push(part);
  }
  return text;
}
