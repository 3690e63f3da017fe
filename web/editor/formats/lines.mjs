/** The lines of a text that is not trusted. */
import { LIMITS } from "../model/document.mjs";
import { DocumentError } from "../model/fields.mjs";

const MAX_LINES = 2 * LIMITS.tracks * LIMITS.frames;

/**
 * The number and content, without spaces and tabs around, of every line that is not blank.
 * @param {string} text
 * @returns {Generator<[number, string]>}
 */
export function* linesOf(text) {
  const end = /\r\n|\r|\n/g;
  for (let number = 1, at = 0; at < text.length; number++) {
    if (number > MAX_LINES) {
      throw new DocumentError(`more than ${MAX_LINES} lines, expected at most that many`);
    }
    const found = end.exec(text);
    const line = stripped(text.slice(at, found ? found.index : text.length));
    if (line) yield [number, line];
    at = found ? end.lastIndex : text.length;
  }
}

/** Not by an expression, which would take the square of the blanks. @param {string} text */
export function stripped(text) {
  let start = 0;
  let end = text.length;
  while (text[start] === " " || text[start] === "\t") start++;
  while (end > start && (text[end - 1] === " " || text[end - 1] === "\t")) end--;
  return text.slice(start, end);
}
